"""The lungs of a chest CT by threshold and morphology, without a network.

Everything runs on a 2 mm grid: it takes well under a second there, and a thin diaphragm
keeps stomach gas apart more reliably than at 1 mm. Consolidation and effusion denser
than -400 HU are outside the mask unless lung surrounds them; the problems say so when
the volumes look wrong, and a mask made elsewhere can be used instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.anatomy.airways import airway_mask
from scanlearn.anatomy.morphology import (
    Mask,
    bounding_box,
    closed,
    dilate,
    erode,
    fill_in_slices,
    grow_labels,
)
from scanlearn.anatomy.sides import split_sides
from scanlearn.errors import BadScan
from scanlearn.scans.geometry import Grid, canonical_grid
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Problem, Scan

#: Side of the voxels of every lung mask.
MASK_SPACING_MM = 2.0

RIGHT, LEFT = 1, 2

_AIR_HU = -400
_TISSUE_HU = -350

#: Gas of stomach and bowel is darker than any lung, emphysema apart.
_GAS_HU = -950

#: A piece of lung smaller than this, apart from the rest, is taken for something else.
_LEAST_PIECE_ML = 30.0

#: Vessels up to about this wide are filled.
_CLOSING_MM = 6.0

_VOLUME_L = (1.5, 10.0)
_RATIO = (0.6, 1.8)


@dataclass(frozen=True, eq=False)
class LungMask:
    """Where the lungs are.

    Parameters
    ----------
    mask
        uint8 array of ``grid.shape``: 0 outside, 1 right lung, 2 left lung.
    grid
        Canonical grid of 2 mm.
    right_ml, left_ml
        Volumes.
    problems
        What makes the mask doubtful.
    """

    mask: NDArray[np.uint8]
    grid: Grid
    right_ml: float
    left_ml: float
    problems: tuple[Problem, ...] = ()

    @property
    def volume_ml(self) -> float:
        """Volume of both lungs."""
        return self.right_ml + self.left_ml


def lung_mask(scan: Scan) -> LungMask:
    """Find the lungs of a chest CT.

    Parameters
    ----------
    scan
        Canonical scan in Hounsfield units, of any spacing.

    Returns
    -------
    LungMask
        Empty, with a problem that says so, when the scan shows no lungs.

    Raises
    ------
    BadScan
        If the scan is not in Hounsfield units or not canonical.
    """
    if scan.acquisition.units != "HU" or not scan.grid.is_canonical:
        raise BadScan(
            f"a {scan.acquisition.modality} scan on a {scan.grid.orientation} grid",
            expected="a CT in Hounsfield units on the canonical grid",
            next_step="Turn it with Scan.canonical(), or give a lung mask of your own.",
        )
    grid = canonical_grid(scan.grid, MASK_SPACING_MM)
    hu = resample(
        np.asarray(scan.voxels), scan.grid, grid, order=1, outside=-1024, antialias=True
    )
    mask = _lungs(hu.astype(np.float32))
    right_ml, left_ml = (
        float(np.count_nonzero(mask == side) * grid.voxel_ml) for side in (RIGHT, LEFT)
    )
    return LungMask(mask, grid, right_ml, left_ml, lung_problems(right_ml, left_ml))


def lung_problems(right_ml: float, left_ml: float) -> tuple[Problem, ...]:
    """Say what is unusual about the volumes of the lungs."""
    total = (right_ml + left_ml) / 1000
    if total == 0:
        return (Problem("no-lungs", "warning", "No lungs were found."),)
    action = "Look at the mask; exclude the scan or give a mask of your own."
    problems = []
    if not _VOLUME_L[0] <= total <= _VOLUME_L[1]:
        text = f"The lungs measure {total:.1f} L, not 1.5 to 10 L."
        problems.append(Problem("lung-volume", "warning", text, action))
    ratio = right_ml / left_ml if left_ml else np.inf
    if not _RATIO[0] <= ratio <= _RATIO[1]:
        text = f"The right lung is {ratio:.2f} times the left, not 0.6 to 1.8 times."
        problems.append(Problem("lung-ratio", "warning", text, action))
    return tuple(problems)


def body_mask(hu: NDArray[np.floating]) -> Mask:
    """Return the largest body in an (S, P, L) volume of 2 mm, filled slice by slice."""
    tissue = hu > _TISSUE_HU
    # Two millimetres of table touch the back; they do not survive an erosion by four.
    cores, n = ndimage.label(erode(tissue, 2))
    if n == 0:
        return np.zeros(hu.shape, dtype=bool)
    sizes = np.bincount(cores.ravel())
    sizes[0] = 0
    body = dilate(cores == sizes.argmax(), 3) & tissue
    return fill_in_slices(body)


def _lungs(hu: NDArray[np.float32]) -> NDArray[np.uint8]:
    full = np.zeros(hu.shape, dtype=np.uint8)
    body = body_mask(hu)
    air = body & (hu < _AIR_HU)
    if not air.any():
        return full
    box = bounding_box(air, 4)
    hu, air = hu[box], air[box]
    airways = airway_mask(hu, air, spacing_mm=MASK_SPACING_MM)
    # One step more takes the partial volume of the walls along.
    air &= ~dilate(airways)
    air = _drop_gas(hu, air)
    sides = split_sides(hu, air, least_voxels=_voxels(_LEAST_PIECE_ML))
    full[box] = _filled(sides, blocked=airways)
    return full


def _drop_gas(hu: NDArray[np.float32], air: Mask) -> Mask:
    """Drop stomach and bowel gas, also where a thin diaphragm lets it touch the lung.

    Erosion parts what touches; a part whose mean is that of pure gas is dropped; the
    rest and the gas grow back against each other.
    """
    cores = erode(air, 2)
    regions, n = ndimage.label(cores)
    if n == 0:
        return air
    sizes = np.bincount(regions.ravel())
    means = np.bincount(regions.ravel(), weights=hu.ravel()) / np.maximum(sizes, 1)
    kind = np.where(means < _GAS_HU, 1, 2).astype(np.uint8)
    kind[0] = 0
    labels = kind[regions]
    _mark_pockets(hu, air, labels)
    return np.asarray(grow_labels(labels, air, steps=5) == 2)


def _mark_pockets(
    hu: NDArray[np.float32], air: Mask, labels: NDArray[np.uint8]
) -> None:
    """Mark pure gas that is joined to lung but mostly walled by soft tissue as gas.

    A bulla is as dark, but lung or the chest wall beside lung surrounds it.
    """
    pure = erode(air & (ndimage.uniform_filter(hu, 3) < _GAS_HU), 1)
    regions, n = ndimage.label(pure)
    if n == 0:
        return
    sizes = np.bincount(regions.ravel())
    for number in np.flatnonzero(sizes >= _voxels(10)):
        if number == 0:
            continue
        box = bounding_box(regions == number, 5)
        pocket = regions[box] == number
        shell = dilate(pocket, 4) & ~dilate(pocket, 3)
        if (hu[box][shell] > -500).mean() > 0.6:
            near = dilate(pocket, 2) & air[box]
            labels[box][near] = 1


def _filled(sides: NDArray[np.uint8], *, blocked: Mask) -> NDArray[np.uint8]:
    """Fill vessels, nodules and holes of each lung, never across to the other."""
    out = np.zeros_like(sides)
    steps = round(_CLOSING_MM / MASK_SPACING_MM)
    for side in (RIGHT, LEFT):
        lung = sides == side
        if not lung.any():
            continue
        box = bounding_box(lung, steps + 1)
        lung = fill_in_slices(closed(lung[box], steps))
        free = (sides[box] == 0) | (sides[box] == side)
        out[box][lung & free & ~blocked[box] & (out[box] == 0)] = side
    return out


def _voxels(ml: float) -> int:
    return round(ml * 1000 / MASK_SPACING_MM**3)
