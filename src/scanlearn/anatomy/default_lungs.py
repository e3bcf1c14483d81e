"""The lungs of nobody: the default atlas, drawn by code.

A rib cage that narrows towards the neck, the domes of the diaphragm, and between the
lungs the heart, the great vessels and the spine. Size and volumes are those of a mean
adult at full inspiration (about 2.4 L right and 2.2 L left).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.label_mask import COARSE_MM, LabelMask, coarse_labels
from scanlearn.scans.geometry import Grid

Floats = NDArray[np.float64]

#: Height (mm, from the base of the lungs' recesses to above the apices) and there the
#: half width of the chest, its half depth and its middle from front to back.
_CHEST = np.array(
    [
        (-150.0, 122.0, 88.0, 12.0),
        (-90.0, 128.0, 94.0, 4.0),
        (-30.0, 126.0, 94.0, 0.0),
        (30.0, 118.0, 88.0, 2.0),
        (70.0, 106.0, 80.0, 7.0),
        (95.0, 92.0, 68.0, 14.0),
        (112.0, 78.0, 54.0, 20.0),
        (124.0, 62.0, 34.0, 26.0),
        (128.0, 48.0, 10.0, 28.0),
    ]
)

#: Ellipsoids between the lungs: centre and half axes, x to the left, y to the back.
_HEART = ((26.0, -34.0, -42.0), (68.0, 54.0, 60.0))
_VESSELS = ((2.0, -6.0, 50.0), (36.0, 56.0, 90.0))
_ROOTS = ((0.0, 10.0, -2.0), (52.0, 34.0, 34.0))
_SPINE = ((4.0, 92.0, 0.0), (34.0, 44.0, 400.0))

#: Top of the right and left dome, and how far it falls from its top to the ribs.
_DOMES = ((-52.0, -64.0), 84.0)

#: No lung within this of the middle.
_APART_MM = 5.0


def default_lungs(spacing_mm: float = COARSE_MM) -> LabelMask:
    """Return the default atlas: 1 right lung, 2 left lung, middle at (0, 0, 0)."""
    n = np.ceil(np.array([320.0, 220.0, 290.0]) / spacing_mm).astype(int)
    shape = int(n[0]), int(n[1]), int(n[2])
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[:, 3] = -145, -105, -165, 1
    grid = Grid(shape, affine)
    x, y, z = np.moveaxis(grid.to_patient(np.moveaxis(np.indices(shape), 0, -1)), -1, 0)
    lungs = _chest(x, y, z) & (z > _diaphragm(x, y)) & (np.abs(x) > _APART_MM)
    for centre, half in (_HEART, _VESSELS, _ROOTS, _SPINE):
        lungs &= _ellipsoid(x, y, z, centre, half) > 1
    mask = np.where(lungs, np.where(x < 0, 1, 2), 0).astype(np.uint8)
    return coarse_labels(LabelMask(mask, grid), spacing_mm)


def _chest(x: Floats, y: Floats, z: Floats) -> NDArray[np.bool_]:
    """Say where the inside of the rib cage is: an oval at every height."""
    half, depth, middle = (
        np.interp(z, _CHEST[:, 0], column) for column in _CHEST.T[1:]
    )
    u, v = np.abs(x / half), np.abs((y - middle) / depth)
    inside = (u**2.4 + v**2.4 < 1) & (z < _CHEST[-1, 0])
    return np.asarray(inside)


def _diaphragm(x: Floats, y: Floats) -> Floats:
    """Return the height of the dome under each point, higher on the right."""
    (right, left), fall = _DOMES
    top = np.where(x < 0, right, left)
    u = (np.abs(x) - 62) / np.where(np.abs(x) > 62, 70, 170)
    v = (y + 24) / np.where(y > -24, 112, 92)
    return np.asarray(top - fall * np.minimum(u**2 + v**2, 1) ** 1.4)


def _ellipsoid(
    x: Floats,
    y: Floats,
    z: Floats,
    centre: tuple[float, float, float],
    half: tuple[float, float, float],
) -> Floats:
    a, b, c = ((p - m) / r for p, m, r in zip((x, y, z), centre, half, strict=True))
    return np.asarray(a**2 + b**2 + c**2)
