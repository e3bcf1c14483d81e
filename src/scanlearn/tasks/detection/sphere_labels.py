"""Labelled spheres: made of masks, and checked against their scan."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.label_files import match_labels
from scanlearn.cohort.labels.label_reading import read_labels_of
from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.spheres import Spheres, as_spheres
from scanlearn.tasks.detection.finding_set import FindingSet, LabelledFindings

#: A component of a mask with fewer voxels than this is a slip of the brush.
_LEAST_VOXELS = 4


def components(labels: NDArray[np.generic], grid: Grid) -> Spheres:
    """Return a sphere for every connected component of a mask, of equal volume.

    Voxels that touch at a corner are connected.
    """
    from scipy import ndimage

    parts, _ = ndimage.label(labels != 0, structure=np.ones((3, 3, 3)))
    spheres = []
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        inside = np.argwhere(parts[box] == number) + [part.start for part in box]
        if len(inside) >= _LEAST_VOXELS:
            volume = len(inside) * grid.voxel_ml * 1000
            diameter = 2 * (3 * volume / (4 * math.pi)) ** (1 / 3)
            spheres.append([*grid.to_patient(inside.mean(axis=0)), diameter])
    return as_spheres(spheres)


def spheres_of_masks(
    source: Path, cohort: Cohort, *, ignore_reference: bool = False
) -> FindingSet:
    """Make findings of the connected components of masks; see :func:`components`."""
    files, strangers = match_labels(source, cohort, ignore_reference=ignore_reference)
    found = []
    for file in files:
        record = cohort.record(file.key)
        grids = record.source_grid, record.grid
        labels = read_labels_of(file, grids=grids)
        spheres = components(labels.labels, labels.grid)
        found.append(LabelledFindings(file.key, record.patient, spheres))
    remarks = [
        f"{item.scan}: {len(item.objects)} findings made of the mask's components"
        for item in found
    ]
    remarks += [f"{path.name} matches no scan: passed over" for path in strangers]
    return FindingSet("spheres", tuple(found), tuple(remarks))


def check_spheres(item: LabelledFindings, grid: Grid) -> None:
    """Refuse a centre that is not in the scan: its axes were taken for others."""
    index = grid.to_index(item.objects[:, :3])
    outside = ((index < -0.5) | (index > np.array(grid.shape) - 0.5)).any(axis=1)
    if outside.any():
        x, y, z = item.objects[outside][0, :3]
        low, high = grid.bounds_mm()
        spans = ", ".join(
            f"{axis} {a:.0f} to {b:.0f}"
            for axis, a, b in zip("xyz", low, high, strict=True)
        )
        raise BadLabels(
            f"A finding of {item.scan} lies at ({x:.0f}, {y:.0f}, {z:.0f}) mm, outside "
            f"the scan ({spans} mm)",
            expected="LPS millimetres: x to the left, y to the back, z to the head",
            next_step="RAS coordinates have x and y with the other sign; voxel indices "
            "must be made millimetres first.",
        )
