"""The labels of one scan as a first look finds them; they are read again when used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.labels.label_matching import LabelFile
from scanlearn.cohort.labels.label_reading import read_labels_of
from scanlearn.cohort.labels.paint import (
    IGNORED,
    Labelling,
    Painted,
    count_values,
    how_known,
    how_painted,
    on_cohort_grid,
    with_ignored,
)
from scanlearn.cohort.record import ScanRecord
from scanlearn.errors import BadLabels
from scanlearn.scans.labels.label_arrays import LabelMap, Note, values_in
from scanlearn.tasks.shared.class_names import FileClasses
from scanlearn.tasks.shared.label_set import LabelItem

_IGNORED = f"the value {IGNORED} marks voxels that are ignored"


@dataclass(frozen=True, eq=False)
class SeenLabels:
    """What a first look at the labels of a scan told.

    Parameters
    ----------
    labels
        Where they are.
    record
        Of the scan.
    how
        How they are painted; None where nothing is, though something should be.
    voxels
        How many voxels each value of the file has.
    names
        The names that the file states.
    notes
        What was dropped or decided.
    in_part
        Whether 255 marks what nobody looked at.
    """

    labels: LabelFile
    record: ScanRecord
    how: Painted | None
    voxels: Mapping[int, int]
    names: Mapping[int, str]
    notes: tuple[Note, ...]
    in_part: bool = False

    @property
    def file(self) -> str:
        """Name of the file, for remarks."""
        return self.labels.path.name

    @property
    def classes(self) -> FileClasses:
        """What the file says of its classes."""
        return FileClasses(self.file, self.voxels, self.names)

    def item(self, values: Mapping[int, int]) -> LabelItem | None:
        """Return the labels with the values of their classes; None for empty ones.

        Parameters
        ----------
        values
            The file's own values -> those of the classes.
        """
        how = self.how
        if how is None:
            return None
        voxels: Counter[int] = Counter()
        for value, count in self.voxels.items():
            voxels[values[value]] += count
        record = self.record

        def read() -> NDArray[np.uint8]:
            found = _read(self.labels, record, in_part=self.in_part)
            labels = with_ignored(_with_values(found, values), how)
            return on_cohort_grid(labels, found.grid, record.grid)

        return LabelItem(
            record.key,
            record.patient,
            how,
            dict(sorted(voxels.items())),
            record.grid,
            read,
            self.labels.split,
        )


def see_labels(
    labels: LabelFile,
    record: ScanRecord,
    labelling: Labelling,
    *,
    in_part: bool = False,
) -> SeenLabels:
    """Read the labels of a scan once, to count and to check them.

    Parameters
    ----------
    labels, record
        Where they are, and the scan.
    labelling
        Which unpainted voxels are background.
    in_part
        Whether 255 marks what nobody looked at, and all else is truth, background
        alone, too.

    Raises
    ------
    BadLabels
        If they are no labels, lie on another grid, or their numbers are too large.
    """
    found = _read(labels, record, in_part=in_part)
    voxels = count_values(found.labels, ignored=not found.names)
    notes = [*labels.notes, *found.notes]
    how: Painted | None = None
    if in_part:
        how = how_known(found.labels, found.grid)
        if labelling == "scribbles":
            how = replace(how, labelling="scribbles")
        return SeenLabels(labels, record, how, voxels, found.names, tuple(notes), True)
    unknown = int(np.count_nonzero(found.labels == IGNORED)) if not found.names else 0
    if unknown:
        notes.append(Note(_IGNORED, f"{unknown} voxels"))
    if voxels or labelling == "dense":
        how = how_painted(found.labels, found.grid, labelling=labelling)
    return SeenLabels(labels, record, how, voxels, found.names, tuple(notes))


def _read(labels: LabelFile, record: ScanRecord, *, in_part: bool) -> LabelMap:
    """Read a map that lies on the grid of the scan's source, or of the cohort."""
    found = read_labels_of(labels, grids=(record.source_grid, record.grid))
    if found.names or in_part:
        return found
    values = values_in(found.labels)
    if values == [0, IGNORED]:
        # The usual coding of a binary mask by picture programs, not "ignored".
        return LabelMap((found.labels > 0).astype(np.uint8), found.grid)
    if values[-1] > IGNORED:
        raise BadLabels(
            f"{labels.path.name} has the class value {values[-1]}",
            expected="class values from 1 to 254",
            next_step="Number the classes 1, 2, 3 and so on.",
        )
    return found


def _with_values(found: LabelMap, values: Mapping[int, int]) -> NDArray[np.uint8]:
    """Return the labels with the values of their classes."""
    table = np.zeros(int(found.labels.max()) + 1, dtype=np.uint8)
    if not found.names and table.size > IGNORED:
        table[IGNORED] = IGNORED
    for own, value in values.items():
        if own < table.size:
            table[own] = value
    return np.asarray(table[found.labels])
