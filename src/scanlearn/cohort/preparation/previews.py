"""A small picture of each prepared scan with its lung mask, to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scanlearn.anatomy.lungs import LungMask
from scanlearn.files import written_beside
from scanlearn.scans.geometry import Grid, canonical_grid
from scanlearn.scans.scan import Scan
from scanlearn.scans.windows import display_range

_PIXEL_MM = 2.0
_LONGEST = 320

#: Right and left lung: blue and orange, which every eye tells apart.
_COLOURS = np.array([[0, 0, 0], [86, 180, 233], [230, 159, 0]], dtype=np.float32)
_OPACITY = 0.4


def write_preview(path: Path, scan: Scan, lungs: LungMask | None) -> None:
    """Write an axial and a coronal slice side by side, the lungs coloured.

    Parameters
    ----------
    path
        The PNG.
    scan
        As it is stored. Right in the picture is the patient's left.
    lungs
        Its mask; the slices go through the middle of it, else of the scan.
    """
    low, high = display_range(scan)
    if scan.is_radiograph:
        picture = _shades(scan.voxels[0], low, high)
    else:
        grid = lungs.grid if lungs else canonical_grid(scan.grid, _PIXEL_MM)
        picture = _beside(
            [
                _plane(scan, lungs, _points(grid, axis, lungs), low, high)
                for axis in (0, 1)
            ]
        )
    image = Image.fromarray(picture)
    image.thumbnail((2 * _LONGEST, _LONGEST))
    with written_beside(path) as part:
        image.save(part)


def _points(grid: Grid, axis: int, lungs: LungMask | None) -> NDArray[np.float64]:
    """Return the LPS points (rows, columns, 3) of a slice, the head up."""
    middle = grid.shape[axis] // 2
    if lungs is not None and lungs.mask.any():
        middle = round(float(np.nonzero(lungs.mask)[axis].mean()))
    ranges = [np.arange(n) for n in grid.shape]
    ranges[axis] = np.array([middle])
    if axis == 1:
        ranges[0] = ranges[0][::-1]
    index = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1)
    return grid.to_patient(np.squeeze(index, axis))


def _plane(
    scan: Scan,
    lungs: LungMask | None,
    points: NDArray[np.float64],
    low: float,
    high: float,
) -> NDArray[np.uint8]:
    picture = _shades(_values(scan.voxels, scan.grid, points, low), low, high)
    if lungs is None:
        return picture
    side = _values(lungs.mask, lungs.grid, points, 0).astype(np.intp)
    shares = np.where(side > 0, _OPACITY, 0.0)[..., None]
    return np.asarray((1 - shares) * picture + shares * _COLOURS[side], dtype=np.uint8)


def _values(
    voxels: NDArray[np.generic],
    grid: Grid,
    points: NDArray[np.float64],
    outside: float,
) -> NDArray[np.generic]:
    """Return the values of the voxels nearest to some points."""
    index = np.rint(grid.to_index(points)).astype(np.intp)
    inside = ((index >= 0) & (index < grid.shape)).all(axis=-1)
    values = np.full(points.shape[:-1], outside, dtype=voxels.dtype)
    values[inside] = voxels[tuple(index[inside].T)]
    return values


def _shades(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    grey = np.clip((values.astype(np.float32) - low) / (high - low), 0, 1) * 255
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)


def _beside(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    rows = max(len(picture) for picture in pictures)
    padded = [
        np.pad(picture, ((0, rows - len(picture)), (0, 0), (0, 0)))
        for picture in pictures
    ]
    return np.concatenate(padded, axis=1)
