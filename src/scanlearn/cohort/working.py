"""Scans of one or several cohorts at the resolution a training works at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.anatomy.frames import Locator
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.record import ScanRecord
from scanlearn.errors import BadCohort, BadConfig
from scanlearn.scans.geometry import Grid

#: Spacings that differ by less than this share are the same.
_SAME_SPACING = 0.02


IntensityUnits = Literal["HU", "zscore", "unit"]


@dataclass(frozen=True, eq=False)
class WorkingScan:
    """One scan as a training sees it: its grid is the pooled one.

    ``place`` carries the locations of an atlas to it; without one its own box does.
    """

    cohort: int
    record: ScanRecord
    grid: Grid
    factor: int
    place: Locator | None = None

    @property
    def key(self) -> str:
        """The scan's key."""
        return self.record.key

    @property
    def frame(self) -> Locator:
        """What makes locations of its points, and back."""
        return self.place or self.record.frame

    @property
    def units(self) -> IntensityUnits:
        """What stored intensities mean."""
        return self.record.intensity.units


class WorkingCohorts:
    """All usable scans of some cohorts, numbered through, at one voxel size.

    The voxel size is a whole multiple of each cohort's own: blocks are averaged while
    they are read, so one cohort serves trainings at 1 mm and at 2 mm.

    Parameters
    ----------
    paths
        The cohorts.
    spacing_mm
        Working voxel size; the cohort's own when None.
    """

    def __init__(self, paths: Sequence[Path], spacing_mm: float | None) -> None:
        self.cohorts = [Cohort(path) for path in paths]
        self.scans: list[WorkingScan] = []
        for number, cohort in enumerate(self.cohorts):
            for record in cohort.records():
                if record.is_radiograph:
                    continue
                factor = pooling_factor(record, spacing_mm)
                grid = record.grid.pooled(factor)
                self.scans.append(WorkingScan(number, record, grid, factor))
        if not self.scans:
            raise BadCohort(
                f"{', '.join(str(path) for path in paths)} holds no usable volume",
                expected="at least one prepared scan that is not excluded",
                next_step="Look at its catalogue.csv",
            )
        for scan in self.scans:
            if not np.allclose(scan.grid.spacing_mm, self.spacing_mm, _SAME_SPACING):
                raise BadCohort(
                    f"The voxels of {scan.key} are {_mm(scan)}, those of "
                    f"{self.scans[0].key} {_mm(self.scans[0])}",
                    expected="one voxel size for a training",
                    next_step="Set spacing_mm to a whole multiple of all of them, or "
                    "prepare them again with the same --spacing",
                )

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size that trainings see."""
        return self.scans[0].grid.spacing_mm

    def placed(self, places: Mapping[str, Locator]) -> WorkingCohorts:
        """Return the scans that have a place in an atlas, by key, with it."""
        chosen = copy(self)
        chosen.scans = [
            replace(scan, place=places[scan.key])
            for scan in self.scans
            if scan.key in places
        ]
        return chosen

    def patients(self) -> dict[str, list[int]]:
        """Return the numbers of each patient's scans, patients in order of key."""
        found: dict[str, list[int]] = {}
        for number, scan in enumerate(self.scans):
            found.setdefault(scan.record.patient, []).append(number)
        return dict(sorted(found.items()))

    def read(
        self, number: int, start: ArrayLike, shape: ArrayLike
    ) -> NDArray[np.float32]:
        """Read a box of a scan in working voxels, padded beyond its borders.

        Parameters
        ----------
        number
            Which scan.
        start, shape
            First index and size in working voxels, array order (S, P, L).
        """
        scan = self.scans[number]
        factor, cohort = scan.factor, self.cohorts[scan.cohort]
        size = np.asarray(shape, dtype=int)
        box = cohort.read_box(scan.key, np.asarray(start) * factor, size * factor)
        return pooled_mean(box, factor)


def _mm(scan: WorkingScan) -> str:
    return " x ".join(f"{mm:g}" for mm in scan.grid.spacing_mm) + " mm"


class HasUnits(Protocol):
    """A scan whose intensities mean something."""

    @property
    def key(self) -> str:
        """The scan's key."""
        ...

    @property
    def units(self) -> IntensityUnits:
        """What stored intensities mean."""
        ...


def common_units(scans: Iterable[HasUnits]) -> IntensityUnits:
    """Return what the intensities of some scans mean, the same for all of them.

    Raises
    ------
    BadCohort
        If they are of several kinds, which one network cannot be given.
    """
    by_units: dict[IntensityUnits, list[str]] = {}
    for scan in scans:
        by_units.setdefault(scan.units, []).append(scan.key)
    if len(by_units) > 1:
        kinds = [f"{len(keys)} {units} ({keys[0]})" for units, keys in by_units.items()]
        raise BadCohort(
            f"The scans' intensities are of several kinds: {', '.join(kinds)}",
            expected="scans of one modality: all CT in Hounsfield units, or none",
            next_step="Exclude the others, or make a cohort of each",
        )
    (units,) = by_units
    return units


def pooled_mean(voxels: NDArray[np.generic], factor: int) -> NDArray[np.float32]:
    """Average blocks of ``factor``**3 voxels; an incomplete last block is left out."""
    if factor == 1:
        return voxels.astype(np.float32)
    sides = [size // factor for size in voxels.shape]
    whole = voxels[tuple(slice(side * factor) for side in sides)]
    blocks = whole.reshape([n for side in sides for n in (side, factor)])
    pooled: NDArray[np.float32] = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    return pooled


def fitting_spacing(finest: float, wanted: float) -> float:
    """Return the whole multiple of a voxel size that is nearest to a wanted one."""
    return max(1, round(wanted / finest)) * finest


def pooling_factor(record: ScanRecord, spacing_mm: float | None) -> int:
    """Return how many stored voxels make one working voxel along each axis."""
    if spacing_mm is None:
        return 1
    finest = min(record.spacing_mm)
    factor = max(1, round(spacing_mm / finest))
    if abs(factor * finest / spacing_mm - 1) > _SAME_SPACING:
        raise BadConfig(
            f"The cohort's voxels are {finest:g} mm, the training asks for "
            f"{spacing_mm:g} mm",
            expected="a whole multiple of the cohort's voxel size",
            next_step=f"Set the voxel size (spacing_mm) to {finest:g} or "
            f"{2 * finest:g}, or prepare the cohort again with another one",
        )
    return factor
