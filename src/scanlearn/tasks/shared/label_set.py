"""Labels of scans as a run keeps them: saved with it, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.labels.paint import Painted
from scanlearn.errors import BadLabels
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.read_labels import read_label_map
from scanlearn.tasks.shared.class_names import check_visible
from scanlearn.tasks.shared.saved_labels import save_labels, saved_labels

#: Written last: with it the labels are complete. Also a user's own names of classes.
CLASSES_FILE = "classes.json"


@dataclass(frozen=True)
class LabelItem:
    """The labels of one scan; they are read when asked for.

    Parameters
    ----------
    scan, patient
        Keys.
    how
        Which voxels count.
    voxels
        Number of painted voxels of each class, on the grid they were painted on.
    grid
        The scan's grid in the cohort.
    split
        Where a table puts it: ``train``, ``val``, ``test``, or nowhere.
    """

    scan: str
    patient: str
    how: Painted
    voxels: Mapping[int, int]
    grid: Grid
    _read: Callable[[], NDArray[np.uint8]] = field(repr=False, compare=False)
    split: str = ""

    def read(self) -> NDArray[np.uint8]:
        """Return uint8 labels on the cohort grid.

        :data:`scanlearn.cohort.labels.paint.IGNORED` where unlabelled.
        """
        return self._read()

    def with_values(self, values: Mapping[int, int]) -> LabelItem:
        """Return the same labels with other values of their classes.

        Parameters
        ----------
        values
            Each class's value -> its new one.
        """
        table = np.arange(256, dtype=np.uint8)
        for own, value in values.items():
            table[own] = value
        voxels = {values[own]: count for own, count in self.voxels.items()}
        return replace(self, voxels=voxels, _read=lambda: table[self.read()])


@dataclass(frozen=True)
class ClassCount:
    """A class: in how many of the label maps it is, and how many voxels it has."""

    value: int
    name: str
    files: int
    voxels: int


@dataclass(frozen=True)
class LabelSet:
    """Labels for some scans of a cohort.

    Parameters
    ----------
    items
        One per labelled scan, in order of keys.
    names
        Name of each class value.
    remarks
        What the user should know: how each map was understood, what was passed over.
    joined
        Of these, how classes were joined: what may be kept, for it names no file.
    apart
        Keys of the patients that a table keeps for testing, once they are left out: no
        training may learn from their images either.
    """

    items: tuple[LabelItem, ...]
    names: Mapping[int, str]
    remarks: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_visible(self.names.values())

    @property
    def patient_keys(self) -> tuple[str, ...]:
        """Keys of the labelled patients, each once, in order."""
        return tuple(sorted({item.patient for item in self.items}))

    @property
    def teaching_keys(self) -> tuple[str, ...]:
        """Keys of those that can be learned from alone: of all."""
        return self.patient_keys

    def counts(self) -> list[ClassCount]:
        """Return files and voxels of each class, on the grids they were painted on."""
        return [
            ClassCount(
                value,
                name,
                sum(value in item.voxels for item in self.items),
                sum(item.voxels.get(value, 0) for item in self.items),
            )
            for value, name in sorted(self.names.items())
        ]

    def of(self, patients: Collection[str]) -> LabelSet:
        """Return the labels of some patients."""
        items = tuple(item for item in self.items if item.patient in patients)
        return replace(self, items=items)

    def for_training(self) -> LabelSet:
        """Return the labels without patients that a table keeps for testing.

        Raises
        ------
        BadLabels
            If a patient is in two splits, or nobody is left to train on.
        """
        split_of: dict[str, str] = {}
        for item in self.items:
            split = split_of.setdefault(item.patient, item.split) or item.split
            if item.split not in (split, ""):
                raise BadLabels(
                    f"patient {item.patient} is in the splits {split} and {item.split}",
                    expected="every patient in one split",
                    next_step="Correct the column split of the table of labels.",
                )
            split_of[item.patient] = split
        if not {"", "train"} & set(split_of.values()):
            raise BadLabels(
                "no labelled scan is left to train on: all are in val or test",
                expected="scans in the split train, or in none",
                next_step="Correct the column split of the table of labels.",
            )
        kept = tuple(item for item in self.items if split_of[item.patient] != "test")
        tests = {patient for patient, split in split_of.items() if split == "test"}
        return replace(self, items=kept, apart=tuple(sorted({*self.apart, *tests})))

    def save(self, folder: Path) -> None:
        """Write ``<scan>_labels.nii.gz`` on the cohort's grids and ``classes.json``.

        The latter comes last: with it the labels are complete.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for item in self.items:
            write_nifti(map_path(folder, item.scan), item.read(), item.grid)
        content = {
            "classes": [
                {"value": value, "name": name}
                for value, name in sorted(self.names.items())
            ],
            "scans": {item.scan: _described(item) for item in self.items},
            "apart": self.apart,
        }
        save_labels(folder / CLASSES_FILE, content)

    @classmethod
    def load(cls, folder: Path) -> LabelSet:
        """Read labels that were saved; each map only when asked for.

        Raises
        ------
        BadLabels
            If the folder holds no saved labels.
        """
        path = folder / CLASSES_FILE
        with saved_labels(path, source="label maps") as content:
            names = {int(c["value"]): str(c["name"]) for c in content["classes"]}
            items = tuple(
                _loaded(folder, key, facts)
                for key, facts in sorted(content["scans"].items())
            )
            apart = tuple(map(str, content.get("apart", ())))
        return cls(items, names, apart=apart)


def map_path(folder: Path, key: str) -> Path:
    """Return the saved label map of a scan."""
    return folder / f"{key}_labels.nii.gz"


def _described(item: LabelItem) -> dict[str, Any]:
    return {
        "patient": item.patient,
        "split": item.split,
        "labelling": item.how.labelling,
        "axis": item.how.axis,
        "plane": item.how.plane,
        "painted": item.how.painted,
        "slices": item.how.slices,
        "voxels": {str(value): count for value, count in item.voxels.items()},
        "shape": item.grid.shape,
        "affine": item.grid.affine.tolist(),
    }


def _loaded(folder: Path, key: str, facts: dict[str, Any]) -> LabelItem:
    how = Painted(
        facts["labelling"],
        facts["axis"],
        facts["painted"],
        facts["slices"],
        facts["plane"],
    )
    shape = facts["shape"]
    grid = Grid((shape[0], shape[1], shape[2]), np.array(facts["affine"]))
    path = map_path(folder, key)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")

    def read() -> NDArray[np.uint8]:
        labels, _ = read_label_map(path, like=grid)
        return labels.astype(np.uint8, copy=False)

    voxels = {int(value): count for value, count in facts["voxels"].items()}
    split = facts.get("split", "")
    return LabelItem(key, facts["patient"], how, voxels, grid, read, split)
