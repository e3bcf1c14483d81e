"""Labelled findings of some scans: spheres in volumes, boxes on radiographs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scanlearn.tasks.shared.saved_labels import save_labels, saved_labels

Kind = Literal["spheres", "boxes"]


@dataclass(frozen=True, eq=False)
class LabelledFindings:
    """The findings of one scan; none says that somebody looked and there is none.

    Parameters
    ----------
    scan, patient
        Keys.
    objects
        (n, 4) spheres (:mod:`scanlearn.scans.spheres`) in LPS millimetres, or boxes
        (:mod:`scanlearn.scans.boxes`) in millimetres of the image's plane.
    split
        As the table says; empty where it does not.
    """

    scan: str
    patient: str
    objects: NDArray[np.float64]
    split: str = ""


@dataclass(frozen=True)
class FindingSet:
    """Labelled findings for some scans of a cohort.

    Parameters
    ----------
    kind
        What a finding is.
    items
        One a labelled scan, in order of keys.
    remarks
        What the user should know: what was passed over.
    """

    kind: Kind
    items: tuple[LabelledFindings, ...]
    remarks: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of findings in all scans."""
        return sum(len(item.objects) for item in self.items)

    @property
    def patient_keys(self) -> tuple[str, ...]:
        """Keys of the labelled patients, each once, in order."""
        return tuple(sorted({item.patient for item in self.items}))

    @property
    def teaching_keys(self) -> tuple[str, ...]:
        """Those with a finding: from the others alone nothing can be learned."""
        return tuple(sorted({i.patient for i in self.items if len(i.objects)}))

    def of(self, patients: Collection[str]) -> FindingSet:
        """Return the findings of some patients."""
        items = tuple(item for item in self.items if item.patient in patients)
        return replace(self, items=items)

    def save(self, folder: Path) -> None:
        """Write ``spheres.json`` or ``boxes.json``: keys, never names."""
        scans = {
            item.scan: {
                "patient": item.patient,
                "split": item.split,
                self.kind: item.objects.tolist(),
            }
            for item in self.items
        }
        save_labels(_file(folder, self.kind), {"scans": scans})

    @classmethod
    def load(cls, folder: Path) -> FindingSet:
        """Read labels that were saved.

        Raises
        ------
        BadLabels
            If the folder holds none.
        """
        kind = kind_in(folder) or "spheres"
        path = _file(folder, kind)
        with saved_labels(path) as content:
            items = tuple(
                LabelledFindings(
                    key,
                    str(facts["patient"]),
                    np.array(facts[kind], dtype=np.float64).reshape(-1, 4),
                    facts.get("split", ""),
                )
                for key, facts in sorted(content["scans"].items())
            )
        return cls(kind, items)


def kind_in(folder: Path) -> Kind | None:
    """Return what the labels saved in a folder are; None where there are none."""
    for kind in get_args(Kind):
        if _file(folder, kind).is_file():
            found: Kind = kind
            return found
    return None


def _file(folder: Path, kind: Kind) -> Path:
    return folder / f"{kind}.json"
