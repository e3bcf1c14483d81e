"""Scans that a search found: read for a list, and as layers beside the other one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.gui.scans.thumbnails import grey_picture
from scanlearn.gui.viewer.layers import AXIS_LABELS, short_key
from scanlearn.scans.geometry import Grid, napari_affine

#: Marks the layer of a scan that was found, in ``layer.metadata``.
FOUND = "scanlearn found"


@dataclass(frozen=True, eq=False)
class FoundScan:
    """One hit of a search, with a picture of it.

    Parameters
    ----------
    cohort, scan, patient
        Which scan.
    similarity
        In [-1, 1].
    position
        (3,) the place that was asked for, LPS millimetres in this scan, or None.
    picture
        Axial slice there, or in the middle.
    """

    cohort: Path
    scan: str
    patient: str
    similarity: float
    position: NDArray[np.float64] | None
    picture: NDArray[np.uint8]

    @property
    def text(self) -> str:
        """What a list says of it."""
        return f"{short_key(self.patient)} · {self.similarity:.2f}\n{self.scan}"


def read_found(file: Path, cohort: Path) -> list[FoundScan]:
    """Read the hits that ``scanlearn search --out`` wrote; slow, for their pictures."""
    from scanlearn.cohort.catalogue import Cohort

    opened = Cohort(cohort)
    found = []
    for hit in json.loads(file.read_text(encoding="utf-8")):
        position = np.array([hit[axis] for axis in "xyz"]) if "x" in hit else None
        record = opened.record(hit["scan"])
        voxels = opened.voxels(record.key)
        middle = voxels.shape[0] // 2
        if position is not None:
            height = round(float(record.grid.to_index(position)[0]))
            middle = int(np.clip(height, 0, voxels.shape[0] - 1))
        plane = np.asarray(voxels[middle])
        picture = grey_picture(plane, hu=record.intensity.units == "HU")
        found.append(
            FoundScan(
                cohort,
                record.key,
                record.patient,
                float(hit["similarity"]),
                position,
                picture,
            )
        )
    return found


def layer_beside(
    found: FoundScan, there: NDArray[np.float64]
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return a found scan as an image layer that lies where the other scan lies.

    It is moved as a whole, so that both show the same place in the same slice. It
    carries no origin: labels painted over it would belong nowhere.

    Parameters
    ----------
    found
        The scan.
    there
        (3,) LPS point of the other scan that this scan's own place is moved to.
    """
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.scans.scan import Acquisition, Scan
    from scanlearn.scans.windows import display_range

    cohort = Cohort(found.cohort)
    record, voxels = cohort.record(found.scan), np.array(cohort.voxels(found.scan))
    hu = record.intensity.units == "HU"
    scan = Scan(voxels, record.grid, Acquisition(units="HU" if hu else "arbitrary"))
    here = record.grid.centre if found.position is None else found.position
    affine = record.grid.affine.copy()
    affine[:3, 3] += there - here
    return voxels, {
        "name": f"{short_key(found.patient)} · similar {found.similarity:.2f}",
        "contrast_limits": display_range(scan),
        "colormap": "gray",
        "affine": napari_affine(Grid(record.grid.shape, affine)),
        "units": ("mm",) * 3,
        "axis_labels": AXIS_LABELS,
        "metadata": {FOUND: found.scan},
    }
