"""Tiles for detection: half around labelled findings, half anywhere in the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.working import WorkingCohorts
from scanlearn.scans.spheres import Spheres
from scanlearn.tasks.detection.finding_set import LabelledFindings

#: A finding's centre lies at most this share of a tile from the tile's middle.
_OFF_CENTRE = 0.35


@dataclass(frozen=True, eq=False)
class SphereScan:
    """A scan with its findings, in working voxels.

    Parameters
    ----------
    number
        Its number in the :class:`WorkingCohorts`.
    patient
        Whose scan it is.
    spheres
        (n, 4) centres and diameters in LPS millimetres.
    objects
        (n, 4) centres as working voxel indices, diameters in millimetres.
    background
        (m, 3) working voxel indices where tiles without a finding are centred: the
        lungs, or the whole scan where there is no mask.
    """

    number: int
    patient: str
    spheres: Spheres
    objects: NDArray[np.float32]
    background: NDArray[np.int16]


def sphere_scan(
    cohorts: WorkingCohorts, number: int, item: LabelledFindings
) -> SphereScan:
    """Place a scan's labels on its working grid."""
    scan = cohorts.scans[number]
    centres = scan.grid.to_index(item.objects[:, :3])
    objects = np.column_stack([centres, item.objects[:, 3]])
    lungs = cohorts.cohorts[scan.cohort].lungs(scan.key)
    if lungs is None or not lungs[0].any():
        background = np.argwhere(np.ones(scan.grid.shape, dtype=bool))
    else:
        mask, grid = lungs
        background = np.rint(scan.grid.to_index(grid.to_patient(np.argwhere(mask > 0))))
    return SphereScan(
        number,
        item.patient,
        item.objects,
        objects.astype(np.float32),
        background.astype(np.int16),
    )


class SphereSampler:
    """Chooses tiles of labelled scans.

    Parameters
    ----------
    scans
        The labelled scans; some may have no finding.
    tile
        Side in working voxels.
    around
        Share of tiles with a finding, each finding as often as another. The others
        have scans in turn, for most of a chest has no finding.
    """

    def __init__(self, scans: list[SphereScan], *, tile: int, around: float) -> None:
        self.scans, self.tile = scans, tile
        self._findings = [
            (index, row)
            for index, scan in enumerate(scans)
            for row in range(len(scan.objects))
        ]
        self._around = around if self._findings else 0.0
        self.most = max([1, *(len(scan.objects) for scan in scans)])

    def sample(self, rng: np.random.Generator) -> tuple[int, NDArray[np.int_]]:
        """Return the number of a scan and a tile's first voxel."""
        if rng.random() < self._around:
            index, row = self._findings[int(rng.integers(len(self._findings)))]
            reach = self.tile * _OFF_CENTRE
            middle = self.scans[index].objects[row, :3] + rng.uniform(-reach, reach, 3)
        else:
            index = int(rng.integers(len(self.scans)))
            places = self.scans[index].background
            middle = places[int(rng.integers(len(places)))].astype(np.float64)
        return index, np.rint(middle - (self.tile - 1) / 2).astype(int)

    def objects(self, index: int, start: NDArray[np.int_]) -> NDArray[np.float32]:
        """Return all findings of a scan (most, 4), centres from a tile's first voxel.

        Rows that no finding needs are NaN.
        """
        known = self.scans[index].objects
        rows = np.full((self.most, 4), np.nan, dtype=np.float32)
        rows[: len(known)] = known
        rows[:, :3] -= start
        return rows
