"""Lung densitometry: emphysema by Hounsfield units alone, without a network.

Measured on the voxels of the source, never on resampled ones: interpolation averages
noise away and with it part of the low-attenuation area.

* LAA-950: share of lung voxels below -950 HU (Gevenois et al., Am J Respir Crit Care
  Med 1996).
* Perc15: the 15th percentile of the lung's densities (Dirksen et al., Am J Respir Crit
  Care Med 1999), here in HU.

The mask is that of :mod:`scanlearn.anatomy.lungs`: without trachea and main bronchi,
with vessels up to about 6 mm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.lungs import LEFT, RIGHT, LungMask
from scanlearn.scans.geometry import Grid
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Acquisition, Scan

Lung = Literal["both", "right", "left"]
Part = Literal["whole", "upper third", "middle third", "lower third"]

LAA_HU = -950
PERCENTILE = 15

#: Thicker slices average emphysema away; protocols of densitometry stay below.
THICKEST_MM = 2.5

_LUNGS: dict[Lung, tuple[int, ...]] = {
    "both": (RIGHT, LEFT),
    "right": (RIGHT,),
    "left": (LEFT,),
}
_THIRDS: tuple[Part, ...] = ("lower third", "middle third", "upper third")

#: Sharp kernels by name: GE, Philips, Canon's FC30 to 39 and from FC50 up.
_SHARP_NAMES = re.compile(r"LUNG|BONE|EDGE|DETAIL|ULTRA|SHARP|[DEFL]|Y[A-D]")
_CANON = re.compile(r"FC(\d\d)")
_SHARP_CANON = (*range(30, 40), *range(50, 60), *range(80, 90))

#: Siemens' kernels are letters and a number that grows with sharpness (B31f, Br59d).
_SIEMENS = re.compile(r"[A-Z]{1,2}(\d\d)[A-Z]?")
_SHARP_SIEMENS = 45


@dataclass(frozen=True)
class Density:
    """Densities of one lung, or both, or of a third of its height.

    Parameters
    ----------
    lung, part
        Which region. The thirds of both lungs are those of each lung, together.
    volume_ml
        Of the region; 0 where the mask has none, and the rest is then None.
    laa950_percent
        Share of voxels below -950 HU.
    perc15_hu, mean_hu
        15th percentile, and mean lung density.
    """

    lung: Lung
    part: Part
    volume_ml: float
    laa950_percent: float | None
    perc15_hu: float | None
    mean_hu: float | None


def densitometry(scan: Scan, lungs: LungMask) -> list[Density]:
    """Measure both lungs and each, whole and by thirds of each lung's height.

    Parameters
    ----------
    scan
        In Hounsfield units, on the grid it was read on.
    lungs
        Its lung mask.

    Returns
    -------
    list
        Twelve rows: both, right, left; each whole, then from the top down.

    Raises
    ------
    ValueError
        If the scan is not in Hounsfield units.
    """
    if scan.acquisition.units != "HU":
        raise ValueError(f"densities are in HU, not in {scan.acquisition.units} units")
    hu, parts = lung_parts(scan.voxels, scan.grid, lungs)
    return [
        _density(lung, part, hu[inside], scan.grid.voxel_ml)
        for (lung, part), inside in parts
    ]


def lung_parts(
    voxels: NDArray[Any], grid: Grid, lungs: LungMask
) -> tuple[NDArray[Any], list[tuple[tuple[Lung, Part], NDArray[np.bool_]]]]:
    """Return the voxels in the lungs (n,), and which are in each of twelve parts.

    Both lungs, the right and the left; each whole, then its thirds from the top down.
    """
    values, side, height = _lung_voxels(voxels, grid, lungs)
    third = _thirds(side, height)
    parts: list[tuple[tuple[Lung, Part], NDArray[np.bool_]]] = []
    for lung, sides in _LUNGS.items():
        inside = np.isin(side, sides)
        parts.append(((lung, "whole"), inside))
        for number in (2, 1, 0):
            parts.append(((lung, _THIRDS[number]), inside & (third == number)))
    return values, parts


def densitometry_cautions(
    acquisition: Acquisition, spacing_mm: tuple[float, ...]
) -> list[str]:
    """Say what of an acquisition makes its densities hard to compare."""
    cautions = []
    thickness = max(acquisition.slice_thickness_mm or 0.0, *spacing_mm)
    if thickness > THICKEST_MM:
        text = f"Slices of {thickness:.3g} mm are thick: LAA-950 comes out too low."
        cautions.append(text)
    if not acquisition.kernel:
        cautions.append("The file does not name the reconstruction kernel.")
    elif is_sharp(acquisition.kernel):
        text = f"The kernel {acquisition.kernel} is sharp: LAA-950 comes out too high."
        cautions.append(text)
    if acquisition.contrast:
        cautions.append("Contrast agent raises densities: LAA-950 comes out too low.")
    return cautions


def is_sharp(kernel: str) -> bool:
    """Whether a reconstruction kernel is known to be sharp, so that noise is high."""
    for word in re.findall(r"\w+", kernel.upper()):
        if _SHARP_NAMES.fullmatch(word) or re.search("LUNG|BONE|EDGE", word):
            return True
        canon, siemens = _CANON.match(word), _SIEMENS.fullmatch(word)
        if canon:
            return int(canon[1]) in _SHARP_CANON
        if siemens and int(siemens[1]) >= _SHARP_SIEMENS:
            return True
    return False


def _lung_voxels(
    voxels: NDArray[Any], grid: Grid, lungs: LungMask
) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.float32]]:
    """Return value, side and height (patient z, mm) of the voxels in the lungs.

    Plane by plane: the indices of all voxels at once would take more room than a scan.
    """
    mask = resample(lungs.mask, lungs.grid, grid, order=0, outside=0)
    plane_z, row_z, column_z, start = grid.affine[2]
    found, side, height = [], [], []
    for number, plane in enumerate(mask):
        rows, columns = np.nonzero(plane)
        found.append(voxels[number][rows, columns])
        side.append(plane[rows, columns])
        z = number * plane_z + rows * row_z + columns * column_z + start
        height.append(z.astype(np.float32))
    return np.concatenate(found), np.concatenate(side), np.concatenate(height)


def _thirds(side: NDArray[np.uint8], height: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return 0, 1 or 2 for the lower, middle and upper third of a voxel's own lung."""
    third = np.zeros(side.shape, dtype=np.uint8)
    for value in (RIGHT, LEFT):
        lung = side == value
        if lung.any():
            low, high = height[lung].min(), height[lung].max()
            part = (height[lung] - low) / max(high - low, np.float32(1e-3)) * 3
            third[lung] = np.minimum(part, 2).astype(np.uint8)
    return third


def _density(lung: Lung, part: Part, hu: NDArray[Any], voxel_ml: float) -> Density:
    if hu.size == 0:
        return Density(lung, part, 0.0, None, None, None)
    return Density(
        lung,
        part,
        volume_ml=hu.size * voxel_ml,
        laa950_percent=100 * float(np.count_nonzero(hu < LAA_HU)) / hu.size,
        perc15_hu=float(np.percentile(hu, PERCENTILE)),
        mean_hu=float(hu.mean(dtype=np.float64)),
    )
