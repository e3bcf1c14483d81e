"""The labels of a cohort's scans: found and checked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.label_files import match_labels
from scanlearn.cohort.labels.label_matching import near_name
from scanlearn.cohort.labels.paint import (
    Labelling,
)
from scanlearn.documents import parse_json, read_text
from scanlearn.errors import BadLabels
from scanlearn.tasks.shared.class_names import FileClasses, join_classes
from scanlearn.tasks.shared.known_in_part import known_in_part
from scanlearn.tasks.shared.label_set import CLASSES_FILE, LabelSet, map_path
from scanlearn.tasks.shared.seen_labels import SeenLabels, see_labels

#: A class with fewer voxels than this over all scans cannot be learned.
_FEWEST_VOXELS = 20

_DATASET_FILE = "dataset.json"

#: Files named in a remark; more are counted. So few have a line each.
_FEW = 4
_EACH = 2

#: Background alone tells nothing: a dense map may be empty, but not all of them.
_EMPTY = "no painted voxel: passed over"

_STRANGER = "matches no scan: passed over"


def collect_labels(
    source: Path,
    cohort: Cohort,
    *,
    labelling: Labelling = "auto",
    known: Mapping[int, str] | None = None,
    ignore_reference: bool = False,
) -> LabelSet:
    """Find the label maps for a cohort's scans and check every one.

    Parameters
    ----------
    source
        A folder of masks named like the scans' source files (with or without
        ``_labels`` or ``_seg``) or by scan keys, one mask, a table with the columns
        ``path`` and ``mask``, or the ``inputs`` of a fine-tuning run.
    cohort
        The cohort.
    labelling
        Which unpainted voxels are background: all of them (``dense``), those of painted
        slices (``slices``), none (``scribbles``), or as each map looks (``auto``).
    known
        Names of classes by value, such as those of a run: the same names get these
        values, and numbers of files without names these names.
    ignore_reference
        Take DICOM labels that refer to another scan than the one they are for.

    Raises
    ------
    BadLabels
        If no map fits a scan, one lies on another grid, nothing is painted, a class has
        too few voxels, or only some files state names.
    """
    source = Path(source)
    if not source.exists():
        raise BadLabels(f"{source} does not exist", next_step="Check the path.")
    saved = _saved_in(source)
    if saved is not None:
        labels = _of_cohort(LabelSet.load(saved), cohort, saved)
        return _with_known(labels, dict(known or {}), saved)
    files, strangers = match_labels(source, cohort, ignore_reference=ignore_reference)
    in_part = known_in_part(source)
    seen = [
        see_labels(
            file,
            cohort.record(file.key),
            labelling,
            in_part=file.path.name in in_part,
        )
        for file in files
    ]
    listed = dict(known or {}) | _listed_beside(source)
    classes = join_classes([one.classes for one in seen], listed)
    pairs = zip(seen, classes.values, strict=True)
    items = tuple(item for one, values in pairs if (item := one.item(values)))
    voxels = sum((Counter(item.voxels) for item in items), Counter[int]())
    check_enough(voxels, classes.names, source)
    names = {value: classes.names[value] for value in sorted(voxels)}
    remarks = (*classes.remarks, *_remarks(seen, strangers, cohort))
    return LabelSet(items, names, remarks, classes.joined)


def _saved_in(source: Path) -> Path | None:
    """Return the folder of saved labels, given it, its run, or none."""
    for folder in (source, source / "inputs"):
        path = folder / CLASSES_FILE
        if path.is_file() and "scans" in path.read_text(encoding="utf-8"):
            return folder
    return None


def _of_cohort(labels: LabelSet, cohort: Cohort, folder: Path) -> LabelSet:
    known = set(cohort.keys())
    items = tuple(item for item in labels.items if item.scan in known)
    if not items:
        raise BadLabels(
            f"none of the {len(labels.items)} labelled scans in {folder} is in the "
            f"cohort {cohort.path.name}",
            expected="labels of this cohort's scans",
            next_step="Choose the cohort that the labels were made for.",
        )
    for item in items:
        if item.read().shape != cohort.grid(item.scan).shape:
            raise BadLabels(
                f"{map_path(folder, item.scan)} lies on another grid than its scan in "
                f"{cohort.path.name}",
                expected="a cohort prepared with the same settings",
                next_step="Use the original masks instead of the run's inputs.",
            )
    remarks = tuple(f"{item.scan}: {item.how.text}" for item in items)
    return replace(labels, items=items, remarks=remarks)


def _with_known(labels: LabelSet, known: Mapping[int, str], folder: Path) -> LabelSet:
    """Give saved labels the values that a run has for the same names."""
    if not known or labels.names == known:
        return labels
    voxels = {one.value: one.voxels for one in labels.counts() if one.voxels}
    classes = join_classes([FileClasses(folder.name, voxels, labels.names)], known)
    (values,) = classes.values
    items = tuple(item.with_values(values) for item in labels.items)
    remarks = (*classes.remarks, *labels.remarks)
    return LabelSet(items, classes.names, remarks, classes.joined)


def _listed_beside(source: Path) -> dict[int, str]:
    """Return the names of classes in ``classes.json``, if one lies with the labels.

    Else those of ``dataset.json``, which nnU-Net has beside the folder of labels.
    """
    folder = source if source.is_dir() else source.parent
    if (folder / CLASSES_FILE).is_file():
        return _listed_names(folder / CLASSES_FILE)
    for place in (folder, folder.parent):
        if (place / _DATASET_FILE).is_file():
            return _dataset_names(place / _DATASET_FILE)
    return {}


def _dataset_names(path: Path) -> dict[int, str]:
    """Read ``{"labels": {"liver": 1}}`` or, as older versions have it, the reverse."""
    try:
        stated = parse_json(read_text(path))["labels"].items()
        pairs = [(n, v) if isinstance(v, int) else (v, int(n)) for n, v in stated]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # some other program's file, or labels made of several numbers
    return {value: str(name) for name, value in pairs if value > 0}


def check_enough(
    voxels: Mapping[int, int], names: Mapping[int, str], source: Path
) -> None:
    """See that there is enough of every class to learn it."""
    if not voxels:
        raise BadLabels(
            f"every label map of {source} is empty",
            expected="at least one painted class",
            next_step="Paint a few slices and save them, then try again.",
        )
    value, count = min(voxels.items(), key=lambda item: item[1])
    if count < _FEWEST_VOXELS:
        raise BadLabels(
            f"{names[value]} has only {count} voxels in all label maps of {source}",
            expected=f"at least {_FEWEST_VOXELS} voxels of every class",
            next_step=f"Paint more of {names[value]}, or erase it.",
        )


def _remarks(
    seen: Sequence[SeenLabels], strangers: Sequence[Path], cohort: Cohort
) -> list[str]:
    """Say what was decided, what many files share in one line."""
    notes: dict[str, list[tuple[str, str]]] = defaultdict(list)
    painted: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in seen:
        if one.how is None:
            notes[_EMPTY].append((one.file, ""))
            continue
        counted, meaning = one.how.text.split("; ")
        painted[meaning].append((one.file, counted))
        for note in one.notes:
            notes[note.kind].append((one.file, note.detail))
    names = [Path(source.path).name for source in cohort.sources().values()]
    for path in strangers:
        near = near_name(path, names)
        notes[_STRANGER].append((path.name, near and f"is it meant for {near}?"))
    everything = [*notes.items(), *painted.items()]
    return [line for kind, places in everything for line in _told(kind, places)]


def _told(kind: str, places: Sequence[tuple[str, str]]) -> list[str]:
    if len(places) <= _EACH:
        return [f"{file}: {kind}" + (more and f" ({more})") for file, more in places]
    some = "; ".join(file + (more and f" ({more})") for file, more in places[:_FEW])
    more = "; …" if len(places) > _FEW else ""
    return [f"{len(places)} label maps: {kind}: {some}{more}"]


def _listed_names(path: Path) -> dict[int, str]:
    """Read ``{"1": "lung"}`` or ``{"classes": [{"value": 1, "name": "lung"}]}``."""
    try:
        content = parse_json(read_text(path))
        if "classes" in content:
            return {int(c["value"]): str(c["name"]) for c in content["classes"]}
        return {int(value): str(name) for value, name in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BadLabels(
            f"{path} holds no class names ({problem})",
            expected='text such as {"1": "lung", "2": "nodule"}',
            next_step="Correct the file or take it away.",
        ) from None
