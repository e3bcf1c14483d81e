"""Which label map belongs to which scan of a cohort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.label_matching import LabelFile, Matcher, near_name
from scanlearn.cohort.labels.label_sources import check_source
from scanlearn.cohort.layout import Source
from scanlearn.errors import BadLabels
from scanlearn.scans.find import files_under, kind_of
from scanlearn.scans.formats import is_table, may_be_label_map
from scanlearn.scans.labels.label_reference import label_class, read_reference
from scanlearn.scans.tables.label_tables import read_table

#: Names listed in a message.
_FEW = 4


def match_labels(
    source: Path, cohort: Cohort, *, ignore_reference: bool = False
) -> tuple[list[LabelFile], list[Path]]:
    """Find the label maps of a source and the scans they are for.

    Parameters
    ----------
    source
        A mask, a folder of masks, or a table with the columns ``path`` and ``mask``.
        Masks are named like scans or by their keys; DICOM files may refer to their
        series instead, and masks of one organ each may lie in a folder of the scan's
        name.
    cohort
        Whose scans may be meant; those left out are not.
    ignore_reference
        Take DICOM files of labels that name another series, patient or frame of
        reference than their scan's.

    Returns
    -------
    tuple
        Matched files in the order of their scans, and files that match no scan.

    Raises
    ------
    BadLabels
        If nothing matches, a scan has two maps, or one was made on another scan.
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
    # A cohort from elsewhere does not say where its scans came from.
    checked = [
        replace(
            file,
            notes=check_source(file.path, sources[file.key], ignore=ignore_reference),
        )
        if file.key in sources
        else file
        for file in matched
    ]
    return sorted(checked, key=lambda file: file.key), strangers


def _in_folder(
    source: Path, cohort: Cohort, sources: dict[str, Source]
) -> list[LabelFile]:
    scans = {Path(one.path).resolve() for one in cohort.sources().values()}
    # Its own voxels are arrays, which could be label maps by their names.
    scans.add((cohort.path / "scans").resolve())
    everything = [source] if kind_of(source) else list(files_under(source))
    files = [file for file in everything if _is_candidate(file, scans)]
    if not files:
        raise BadLabels(
            f"{source} holds no label maps",
            expected="NIfTI, NRRD or MHA masks or DICOM files of labels, named like "
            "the scans' files, with or without _labels",
            next_step="Choose the folder of masks, or a table with path and mask.",
        )
    match = Matcher(source, cohort, sources)
    found = [LabelFile(match.key_of(file), file) for file in files]
    strangers = [one.path for one in found if not one.key]
    inside = match.in_folders_of_scans(strangers)
    of_folders = {path for one in inside for path in (one.path, *one.organs)}
    kept = [one for one in found if one.key or one.path not in of_folders]
    return kept + inside


def may_be_labels(file: Path) -> bool:
    """Whether a file, or a folder that is one image, may be a label map."""
    if file.name.startswith("."):
        return False
    kind = kind_of(file)
    if kind == "dicom":
        return bool(label_class(file))
    return kind is not None and may_be_label_map(kind)


def _is_candidate(file: Path, scans: set[Path]) -> bool:
    """Whether a file may hold labels and is no scan of the cohort, nor its slice."""
    if not may_be_labels(file):
        return False
    there = file.resolve()
    if there in scans:
        return False
    in_scan = any(parent in scans for parent in there.parents)
    return not in_scan or bool(label_class(file))


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


def referenced_series(file: Path) -> str:
    """Return the one series a DICOM file of labels was made on; empty otherwise."""
    series = read_reference(file).series
    return next(iter(series)) if len(series) == 1 else ""


def _check_single(matched: Sequence[LabelFile]) -> None:
    paths: dict[str, Path] = {}
    for file in matched:
        other = paths.setdefault(file.key, file.path)
        if other != file.path:
            raise BadLabels(
                f"{other} and {file.path} are both for the same scan",
                expected="one label map a scan",
                next_step="Join them into one map with a value for each class, or put "
                "masks of one class each, named after it, into a folder of the scan's "
                "name.",
            )


def _no_match(
    source: Path, strangers: Sequence[Path], sources: dict[str, Source]
) -> BadLabels:
    masks = ", ".join(path.name for path in strangers[:_FEW])
    names = [Path(one.path).name for one in sources.values()]
    more = ", …" if len(sources) > _FEW else ""
    near = near_name(strangers[0], names) if strangers else ""
    return BadLabels(
        f"no label map of {source} ({masks}{', …' if len(strangers) > _FEW else ''}) "
        "has the name of a scan or refers to its series"
        + (f"; is {strangers[0].name} meant for {near}?" if near else ""),
        expected="names like the scans', with or without _labels, or a folder of that "
        f"name with a mask a class: {', '.join(names[:_FEW])}{more}",
        next_step="Rename the masks, or use a table with the columns path and mask.",
    )
