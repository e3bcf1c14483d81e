"""The labels of a cohort's scans: found and checked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.label_files import LabelFile, match_labels
from scanlearn.cohort.paint import (
    IGNORED,
    Labelling,
    count_values,
    how_painted,
    on_cohort_grid,
    with_ignored,
)
from scanlearn.cohort.record import ScanRecord
from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels import read_label_map, read_label_names
from scanlearn.tasks.shared.label_set import CLASSES_FILE, LabelItem, LabelSet, map_path

#: A class with fewer voxels than this over all scans cannot be learned.
_FEWEST_VOXELS = 20

#: Background alone tells nothing: a dense map may be empty, but not all of them.
_EMPTY = "holds no painted voxel"


def collect_labels(
    source: Path, cohort: Cohort, *, labelling: Labelling = "auto"
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

    Raises
    ------
    BadLabels
        If no map fits a scan, one lies on another grid, nothing is painted, or a class
        has too few voxels.
    """
    source = Path(source)
    if not source.exists():
        raise BadLabels(f"{source} does not exist", next_step="Check the path.")
    saved = _saved_in(source)
    if saved is not None:
        return _of_cohort(LabelSet.load(saved), cohort, saved)
    files, strangers = match_labels(source, cohort)
    items, remarks = [], []
    for file in files:
        item = _item(file, cohort.record(file.key), labelling)
        if item is None:
            remarks.append(f"{file.path.name} {_EMPTY}: passed over")
            continue
        items.append(item)
        remarks.append(f"{file.path.name}: {item.how.text}")
    remarks += [f"{path.name} matches no scan: passed over" for path in strangers]
    voxels = sum((Counter(item.voxels) for item in items), Counter[int]())
    check_enough(voxels, source)
    names = _names(source, files[0].path, sorted(voxels))
    return LabelSet(tuple(items), names, tuple(remarks))


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
    return LabelSet(items, labels.names, remarks)


def _item(
    file: LabelFile, record: ScanRecord, labelling: Labelling
) -> LabelItem | None:
    """Check a map; None for one that is empty and not said to be dense."""
    labels, grid = _read_on(file.path, record)
    voxels = count_values(labels)
    if not voxels and labelling != "dense":
        return None
    how = how_painted(labels, grid, labelling=labelling)

    def read() -> NDArray[np.uint8]:
        labels, grid = _read_on(file.path, record)
        return on_cohort_grid(with_ignored(labels, how), grid, record.grid)

    return LabelItem(
        record.key, record.patient, how, voxels, record.grid, read, file.split
    )


def _read_on(path: Path, record: ScanRecord) -> tuple[NDArray[np.uint8], Grid]:
    """Read a map that lies on the grid of the scan's source, or of the cohort."""
    try:
        labels, grid = read_label_map(path, like=record.source_grid)
    except BadLabels as mismatch:
        try:
            labels, grid = read_label_map(path, like=record.grid)
        except BadLabels:
            raise mismatch from None
    values = np.unique(labels)
    if values.size == 2 and values[0] == 0 and values[1] == IGNORED:
        # The usual coding of a binary mask by picture programs, not "ignored".
        labels = (labels > 0).astype(np.uint8)
    elif values[-1] > IGNORED:
        raise BadLabels(
            f"{path.name} has the class value {values[-1]}",
            expected="class values from 1 to 254",
            next_step="Number the classes 1, 2, 3 and so on.",
        )
    return labels.astype(np.uint8, copy=False), grid


def check_enough(voxels: Mapping[int, int], source: Path) -> None:
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
            f"class {value} has only {count} voxels in all label maps of {source}",
            expected=f"at least {_FEWEST_VOXELS} voxels of every class",
            next_step=f"Paint more of class {value}, or erase it.",
        )


def _names(source: Path, first: Path, values: list[int]) -> dict[int, str]:
    """Return class names: of ``classes.json``, else of the files, else numbers."""
    stated = read_label_names(first)
    listed = (source if source.is_dir() else source.parent) / CLASSES_FILE
    if listed.is_file():
        stated |= _listed_names(listed)
    return {value: stated.get(value, f"class {value}") for value in values}


def _listed_names(path: Path) -> dict[int, str]:
    """Read ``{"1": "lung"}`` or ``{"classes": [{"value": 1, "name": "lung"}]}``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if "classes" in content:
            return {int(c["value"]): str(c["name"]) for c in content["classes"]}
        return {int(value): str(name) for value, name in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BadLabels(
            f"{path} holds no class names ({problem})",
            expected='text such as {"1": "lung", "2": "nodule"}',
            next_step="Correct the file or take it away.",
        ) from None
