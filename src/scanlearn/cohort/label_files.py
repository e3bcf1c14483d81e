"""Which label map belongs to which scan of a cohort."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.layout import Source
from scanlearn.cohort.names import scan_stem_of, stem_of
from scanlearn.errors import BadLabels
from scanlearn.scans.find import files_under, kind_of
from scanlearn.scans.formats import is_table, may_be_label_map
from scanlearn.scans.named_files import same_name
from scanlearn.scans.tables import read_table

#: Names listed in a message.
_FEW = 4


@dataclass(frozen=True)
class LabelFile:
    """A label map, the scan it is for, and the ``split`` that a table puts it in.

    ``key`` is empty where it matches no scan.
    """

    key: str
    path: Path
    split: str = ""


def match_labels(source: Path, cohort: Cohort) -> tuple[list[LabelFile], list[Path]]:
    """Find the label maps of a source and the scans they are for.

    Parameters
    ----------
    source
        A mask, a folder of masks named like scans (or by their keys), or a table with
        the columns ``path`` and ``mask``.
    cohort
        Whose scans may be meant; those left out are not.

    Returns
    -------
    tuple
        Matched files in the order of their scans, and files that match no scan.

    Raises
    ------
    BadLabels
        If nothing matches, or a scan has two maps.
    """
    sources = _used_sources(cohort)
    if is_table(source):
        files = _in_table(source, sources)
    else:
        files = _in_folder(source, cohort, sources)
    matched = [file for file in files if file.key]
    strangers = [file.path for file in files if not file.key]
    if not matched:
        raise _no_match(source, strangers, sources)
    _check_single(matched)
    return sorted(matched, key=lambda file: file.key), strangers


def _in_folder(
    source: Path, cohort: Cohort, sources: dict[str, Source]
) -> list[LabelFile]:
    files = [source] if kind_of(source) else list(files_under(source))
    scans = {Path(one.path).resolve() for one in sources.values()}
    files = [f for f in files if may_be_labels(f) and not _is_in(f.resolve(), scans)]
    if not files:
        raise BadLabels(
            f"{source} holds no label maps",
            expected="NIfTI masks named like the scans' files, with or without _labels",
            next_step="Choose the folder of masks, or a table with path and mask.",
        )
    names = _names_of_scans(cohort, sources)
    by_series = {one.series.split("#")[0]: key for key, one in sources.items()}
    found = []
    for file in files:
        stems = (same_name(stem_of(file)), same_name(scan_stem_of(file)))
        keys = next((names[stem] for stem in stems if stem in names), [])
        key = _the_one(file, keys, sources)
        if not key and kind_of(file) == "dicom":
            key = by_series.get(referenced_series(file), "")
        found.append(LabelFile(key, file))
    return found


def _names_of_scans(cohort: Cohort, sources: dict[str, Source]) -> dict[str, list[str]]:
    """Return the keys of the scans of each name: the source's stem, or the key."""
    names: dict[str, list[str]] = defaultdict(list)
    for record in cohort.records():
        names[same_name(record.key)].append(record.key)
    for key, one in sources.items():
        names[same_name(stem_of(Path(one.path)))].append(key)
    return dict(names)


def may_be_labels(file: Path) -> bool:
    """Whether a file, or a folder that is one image, may be a label map."""
    kind = kind_of(file)
    return kind is not None and may_be_label_map(kind)


def _is_in(file: Path, scans: set[Path]) -> bool:
    """Whether a file is a scan of the cohort or one of its slices."""
    return file in scans or any(parent in scans for parent in file.parents)


def keys_of_paths(paths: Iterable[Path], cohort: Cohort) -> dict[Path, str]:
    """Return the usable scans that the paths of a table name, by path.

    A table may name a slice or a file inside the folder of a series. Paths of no scan
    are left out.
    """
    return _keys_of(paths, _used_sources(cohort))


def _keys_of(paths: Iterable[Path], sources: dict[str, Source]) -> dict[Path, str]:
    by_path = {Path(one.path).resolve(): key for key, one in sources.items()}
    found = {}
    for path in paths:
        keys = [by_path[p] for p in (path, *path.parents) if p in by_path]
        if keys:
            found[path] = keys[0]
    return found


def _used_sources(cohort: Cohort) -> dict[str, Source]:
    used = {record.key for record in cohort.records()}
    return {key: one for key, one in cohort.sources().items() if key in used}


def _in_table(source: Path, sources: dict[str, Source]) -> list[LabelFile]:
    table = read_table(source, needed=(("mask",),))
    keys = _keys_of(table["path"], sources)
    files = {}
    for row in table.to_dict("records"):
        key, split = keys.get(row["path"], ""), str(row.get("split", ""))
        files[row["mask"]] = LabelFile(key, row["mask"], split)
    return list(files.values())


def _the_one(file: Path, keys: Sequence[str], sources: dict[str, Source]) -> str:
    """Choose among scans of one name the one whose folder has the mask's folder's name.

    Raises
    ------
    BadLabels
        If that does not tell them apart.
    """
    if len(keys) <= 1:
        return keys[0] if keys else ""
    beside = [
        key for key in keys if Path(sources[key].path).parent.name == file.parent.name
    ]
    if len(beside) == 1:
        return beside[0]
    raise BadLabels(
        f"{file} may belong to any of {len(keys)} scans of that name",
        expected="one scan a name",
        next_step="Name the mask by its scan's key (see catalogue.csv), or use a table "
        "with the columns path and mask.",
    )


def referenced_series(file: Path) -> str:
    """Return the series a DICOM-SEG was made on; empty for anything else."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header = dcmread(file, stop_before_pixels=True)
        return str(header.ReferencedSeriesSequence[0].SeriesInstanceUID)
    except (InvalidDicomError, OSError, AttributeError, IndexError):
        return ""


def _check_single(matched: Sequence[LabelFile]) -> None:
    paths: dict[str, Path] = {}
    for file in matched:
        other = paths.setdefault(file.key, file.path)
        if other != file.path:
            raise BadLabels(
                f"{other} and {file.path} are both for the same scan",
                expected="one label map a scan",
                next_step="Join them into one map with a value for each class.",
            )


def _no_match(
    source: Path, strangers: Sequence[Path], sources: dict[str, Source]
) -> BadLabels:
    masks = ", ".join(path.name for path in strangers[:_FEW])
    scans = ", ".join(Path(one.path).name for one in list(sources.values())[:_FEW])
    more = ", …" if len(sources) > _FEW else ""
    return BadLabels(
        f"no label map of {source} ({masks}{', …' if len(strangers) > _FEW else ''}) "
        "has the name of a scan",
        expected=f"names like the scans', with or without _labels: {scans}{more}",
        next_step="Rename the masks, or use a table with the columns path and mask.",
    )
