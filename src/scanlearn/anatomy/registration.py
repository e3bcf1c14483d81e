"""Affine registration of a patient's labels to those of an atlas.

The map is found by Levenberg and Marquardt's method on the difference of two blurred
label images (right and left lung), on voxels of 4 mm: a second instead of the minutes
that general tools take. Both sides have their own label, so they cannot be swapped.

Two lungs determine a rotation and a shear only weakly. A ridge keeps the shear small
where the labels do not ask for one; without it the same patient may be turned by 36
degrees with an overlap as good as without.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from scanlearn.anatomy.label_mask import LabelMask, blurred
from scanlearn.randomness import numpy_generator
from scanlearn.scans.geometry import Grid

#: Blur of the labels, first for the way, then for the last millimetre.
_BLURS_MM = (10.0, 4.0)

#: Points of the atlas that are compared.
_POINTS = (8_000, 20_000)

#: Where the blurred atlas is between these, its surface is near.
_SURFACE = (0.02, 0.98)

#: Weight of the squared off-diagonal stretches against the mean squared difference.
_RIDGE = 0.02

_MOST_STEPS = 30

#: A step that moves the surface by less than this is the last, in mm.
_STILL_MM = 0.02


@dataclass(frozen=True, eq=False)
class AffineMap:
    """``patient = centre + shift + rotation @ stretch @ (atlas - middle)``.

    Parameters
    ----------
    middle, centre
        (3,) centroids of the atlas and of the patient, LPS mm.
    shift
        (3,) mm.
    rotation
        (3, 3) rotation matrix.
    stretch
        (3, 3) symmetric; its off-diagonal entries are the shear.
    """

    middle: NDArray[np.float64]
    centre: NDArray[np.float64]
    shift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    rotation: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    stretch: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))

    def __call__(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map atlas points (..., 3) to patient points (..., 3)."""
        relative = np.asarray(points, dtype=np.float64) - self.middle
        turned = relative @ (self.rotation @ self.stretch).T
        return np.asarray(turned + self.centre + self.shift)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(4, 4) matrix from atlas to patient."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation @ self.stretch
        matrix[:3, 3] = self(np.zeros(3))
        return matrix


def moments_map(atlas: LabelMask, patient: LabelMask) -> AffineMap:
    """Return the map that makes centroid and spread along each axis equal.

    Raises
    ------
    ValueError
        If one of the masks is empty.
    """
    middle, wide = atlas.moments()
    centre, spread = patient.moments()
    return AffineMap(middle, centre, stretch=np.diag(spread / wide))


class AtlasShape:
    """The labels of an atlas, made ready for any number of registrations.

    Parameters
    ----------
    labels
        The atlas.
    """

    def __init__(self, labels: LabelMask) -> None:
        self.labels = labels
        parts, grid = labels.parts(margin_mm=2 * max(_BLURS_MM))
        self._levels = [
            _surface_points(blurred(parts, grid, blur), grid, count)
            for blur, count in zip(_BLURS_MM, _POINTS, strict=True)
        ]

    def register(self, patient: LabelMask) -> AffineMap:
        """Find the affine map from the atlas to a patient.

        Parameters
        ----------
        patient
            Labels that mean the same as the atlas's.

        Raises
        ------
        ValueError
            If the mask is empty.
        """
        found = moments_map(self.labels, patient)
        parts, grid = patient.parts(
            margin_mm=2 * max(_BLURS_MM), count=self.labels.count
        )
        for blur, (points, wanted) in zip(_BLURS_MM, self._levels, strict=True):
            image = np.moveaxis(blurred(parts, grid, blur), 0, -1)
            found = _fitted(found, np.ascontiguousarray(image), grid, points, wanted)
        return found


def _surface_points(
    image: NDArray[np.float32], grid: Grid, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Choose voxels near the surface of any label: points (n, 3), values (n, count)."""
    near = ((image > _SURFACE[0]) & (image < _SURFACE[1])).any(axis=0)
    where = np.argwhere(near)
    if len(where) > count:
        rng = numpy_generator(0, "atlas points")
        where = where[np.sort(rng.choice(len(where), count, replace=False))]
    values = image[:, where[:, 0], where[:, 1], where[:, 2]].T
    return grid.to_patient(where), values.astype(np.float64)


def _fitted(
    start: AffineMap,
    image: NDArray[np.float32],
    grid: Grid,
    points: NDArray[np.float64],
    wanted: NDArray[np.float64],
) -> AffineMap:
    """Improve a map by Levenberg and Marquardt's method."""
    found, damping = start, 1e-3
    reach = float(np.linalg.norm(points - found.middle, axis=1).mean())
    cost, normal, slope = _equations(found, image, grid, points, wanted)
    for _ in range(_MOST_STEPS):
        damped = normal + np.diag(damping * normal.diagonal() + 1e-12)
        step = np.linalg.solve(damped, -slope)
        tried = _moved(found, step)
        new = _equations(tried, image, grid, points, wanted)
        if new[0] < cost:
            found, damping = tried, damping / 5
            cost, normal, slope = new
        else:
            damping *= 8
        moved = np.abs(step[:3]).max() + reach * np.abs(step[3:]).max()
        if moved < _STILL_MM or damping > 1e6:
            break
    return found


def _moved(found: AffineMap, step: NDArray[np.floating]) -> AffineMap:
    """Apply a step: shift (3), turn (3 radians), stretch (3 on, 3 off the diagonal)."""
    a, b, c, d, e, f = step[6:]
    return replace(
        found,
        shift=found.shift + step[:3],
        rotation=Rotation.from_rotvec(step[3:6]).as_matrix() @ found.rotation,
        stretch=found.stretch + np.array([[a, d, e], [d, b, f], [e, f, c]]),
    )


#: Row and column of the six free entries of the stretch.
_ROWS, _COLUMNS = (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)


def _equations(
    found: AffineMap,
    image: NDArray[np.float32],
    grid: Grid,
    points: NDArray[np.float64],
    wanted: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the cost and the normal equations of a step: (12, 12) and (12,)."""
    relative = points - found.middle
    stretched = relative @ found.stretch
    turned = stretched @ found.rotation.T
    places = turned + found.centre + found.shift
    values, gradient = _sampled(image, grid, places)
    difference = values - wanted
    # d(place) / d(step), contracted with the gradient of each label (n, count, 3).
    own = gradient @ found.rotation
    columns = [
        gradient,
        np.cross(turned[:, None, :], gradient),
        own * relative[:, None, :],
    ]
    for row, column in zip(_ROWS[3:], _COLUMNS[3:], strict=True):
        both = own[..., row] * relative[:, None, column]
        both += own[..., column] * relative[:, None, row]
        columns.append(both[..., None])
    jacobian = np.concatenate(columns, axis=-1).reshape(-1, 12)
    count = len(points)
    off = found.stretch[_ROWS[3:], _COLUMNS[3:]]
    normal = jacobian.T @ jacobian / count
    slope = jacobian.T @ difference.reshape(-1) / count
    normal[np.arange(9, 12), np.arange(9, 12)] += _RIDGE
    slope[9:] += _RIDGE * off
    cost = float((difference**2).sum() / count + _RIDGE * (off**2).sum())
    return cost, normal, slope


def _sampled(
    image: NDArray[np.float32], grid: Grid, places: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interpolate an image (S, P, L, count) linearly, with its exact gradient.

    Returns
    -------
    values
        (n, count); 0 beyond the border.
    gradient
        (n, count, 3) per mm along x, y, z.
    """
    shape = np.array(grid.shape)
    index = grid.to_index(places)
    inside = np.all((index >= 0) & (index <= shape - 1), axis=-1)
    low = np.clip(np.floor(index), 0, shape - 2).astype(np.intp)
    high = np.clip(index - low, 0, 1)[:, :, None]
    flat = image.reshape(-1, image.shape[-1])
    strides = (int(shape[1] * shape[2]), int(shape[2]), 1)
    first = low @ np.array(strides)
    corner = {
        (i, j, k): flat[first + i * strides[0] + j * strides[1] + k]
        for i in (0, 1)
        for j in (0, 1)
        for k in (0, 1)
    }
    a, b, c = high[:, 0], high[:, 1], high[:, 2]
    along_c = {p: corner[(*p, 0)] * (1 - c) + corner[(*p, 1)] * c for p in _PAIRS}
    slope_c = {p: corner[(*p, 1)] - corner[(*p, 0)] for p in _PAIRS}
    near, far = (along_c[i, 0] * (1 - b) + along_c[i, 1] * b for i in (0, 1))
    slope_b = [along_c[i, 1] - along_c[i, 0] for i in (0, 1)]
    across = [slope_c[i, 0] * (1 - b) + slope_c[i, 1] * b for i in (0, 1)]
    values = near * (1 - a) + far * a
    gradient = np.stack(
        [
            far - near,
            slope_b[0] * (1 - a) + slope_b[1] * a,
            across[0] * (1 - a) + across[1] * a,
        ],
        axis=-1,
    )
    gradient = gradient @ np.linalg.inv(grid.affine[:3, :3])
    return values * inside[:, None], gradient * inside[:, None, None]


_PAIRS = ((0, 0), (0, 1), (1, 0), (1, 1))
