"""Where voxels are: grids in patient space.

This module is the only place that knows about axis orders and patient frames.

* A point is (x, y, z) in millimetres in the **LPS** patient frame of DICOM: x grows to
  the patient's left, y to the back (posterior), z to the head (superior).
* A :class:`Grid` maps an index in **array order** to such a point:
  ``point = affine @ (i0, i1, i2, 1)``; voxel centres lie on whole indices.
* The **canonical** grid has array axes (S, P, L): the first axis runs to the head, the
  second to the back, the third to the left, aligned with the patient axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Letters of the positive and negative end of the patient axes x, y, z.
PATIENT_LETTERS = (("L", "R"), ("P", "A"), ("S", "I"))

#: The canonical axis letters of an array: head, back, left.
CANONICAL = "SPL"

#: Axes whose cosines leave a patient axis by less than this count as aligned.
ALIGNED_TOLERANCE = 1e-4

_FLIP_XY = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular lattice of voxel centres in patient space.

    Parameters
    ----------
    shape
        Number of voxels along the three array axes.
    affine
        (4, 4) matrix from array index to LPS millimetres.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError(f"a grid needs a finite (4, 4) affine, not {affine!r}")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"a grid needs three positive sizes, not {self.shape}")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise ValueError("a grid needs an affine with a volume: it is singular")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxel centres along each array axis."""
        s = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(s[0]), float(s[1]), float(s[2])

    @cached_property
    def directions(self) -> NDArray[np.float64]:
        """(3, 3) unit vectors of the array axes in patient space, as columns."""
        return np.asarray(self.affine[:3, :3] / np.array(self.spacing_mm))

    @property
    def centre(self) -> NDArray[np.float64]:
        """Patient point in the middle of the grid."""
        return self.to_patient((np.array(self.shape) - 1) / 2)

    @cached_property
    def orientation(self) -> str:
        """Letter of the patient side each array axis runs to, such as ``"SPL"``."""
        letters = []
        for array_axis, patient_axis in enumerate(_matched_axes(self.directions)):
            positive = self.directions[patient_axis, array_axis] > 0
            letters.append(PATIENT_LETTERS[patient_axis][0 if positive else 1])
        return "".join(letters)

    @property
    def is_aligned(self) -> bool:
        """Whether every array axis is parallel to a patient axis."""
        return bool(
            np.allclose(
                np.abs(self.directions).max(axis=0), 1, atol=ALIGNED_TOLERANCE**2
            )
            and np.allclose(
                np.sort(np.abs(self.directions), axis=0)[:2], 0, atol=ALIGNED_TOLERANCE
            )
        )

    @property
    def is_canonical(self) -> bool:
        """Whether the array axes are exactly (S, P, L)."""
        return self.is_aligned and self.orientation == CANONICAL

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def to_patient(self, index: ArrayLike) -> NDArray[np.float64]:
        """Map array indices (..., 3) to LPS points (..., 3) in millimetres."""
        index = np.asarray(index, dtype=np.float64)
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_index(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map LPS points (..., 3) in millimetres to fractional indices (..., 3)."""
        points = np.asarray(points, dtype=np.float64) - self.affine[:3, 3]
        return np.asarray(points @ np.linalg.inv(self.affine[:3, :3]).T)

    def matches(self, other: Grid, *, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids have the same shape and the same corners."""
        if self.shape != other.shape:
            return False
        corners = box_corners(np.zeros(3), np.array(self.shape) - 1.0)
        gap = np.abs(self.to_patient(corners) - other.to_patient(corners)).max()
        return bool(gap <= tolerance_mm)

    def bounds_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest LPS coordinates of the voxel centres."""
        corners = box_corners(np.zeros(3), np.array(self.shape) - 1.0)
        points = self.to_patient(corners)
        return points.min(axis=0), points.max(axis=0)

    def cropped(self, start: ArrayLike, shape: ArrayLike) -> Grid:
        """Return the grid of a sub-box that starts at a (whole) index."""
        affine = self.affine.copy()
        affine[:3, 3] = self.to_patient(start)
        n = np.asarray(shape, dtype=int)
        return Grid((int(n[0]), int(n[1]), int(n[2])), affine)

    def pooled(self, factor: int) -> Grid:
        """Return the grid whose voxels are means of ``factor``**3 of this grid's."""
        affine = self.affine.copy()
        affine[:3, :3] *= factor
        affine[:3, 3] = self.to_patient(np.full(3, (factor - 1) / 2))
        n = [max(1, size // factor) for size in self.shape]
        return Grid((n[0], n[1], n[2]), affine)


def box_corners(low: ArrayLike, high: ArrayLike) -> NDArray[np.float64]:
    """Return the (8, 3) corners of a box."""
    ends = np.stack([np.asarray(low, float), np.asarray(high, float)])
    picks = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T
    return np.asarray(ends[picks, np.arange(3)])


def grid_from_ras(shape: ArrayLike, affine_ras: ArrayLike) -> Grid:
    """Make a grid from a NIfTI affine (array index to RAS millimetres)."""
    n = np.asarray(shape, dtype=int)
    return Grid(
        (int(n[0]), int(n[1]), int(n[2])), _FLIP_XY @ np.asarray(affine_ras, float)
    )


def ras_affine(grid: Grid) -> NDArray[np.float64]:
    """Return the NIfTI affine of a grid (array index to RAS millimetres)."""
    return np.asarray(_FLIP_XY @ grid.affine)


def napari_affine(grid: Grid) -> NDArray[np.float64]:
    """Return the (4, 4) affine of a napari layer.

    napari's world axes follow the array axes of a canonical scan, so a world point is
    the LPS point read backwards: (z, y, x).
    """
    reverse = np.eye(4)[[2, 1, 0, 3]]
    return np.asarray(reverse @ grid.affine)


def world_to_patient(world: ArrayLike) -> NDArray[np.float64]:
    """Map napari world points (..., 3) to LPS points; its own inverse."""
    return np.asarray(world, dtype=np.float64)[..., ::-1].copy()


def to_canonical_axes(
    voxels: NDArray[np.generic], grid: Grid
) -> tuple[NDArray[np.generic], Grid]:
    """Permute and flip array axes so that they run closest to (S, P, L).

    No voxel value changes; an oblique grid stays oblique.
    """
    matched = _matched_axes(grid.directions)
    order = [matched.index(patient_axis) for patient_axis in (2, 1, 0)]
    matrix = grid.affine[:3, :3][:, order]
    shape = np.array(grid.shape)[order]
    origin = grid.affine[:3, 3].copy()
    voxels = np.transpose(voxels, order)
    for array_axis, patient_axis in enumerate((2, 1, 0)):
        if matrix[patient_axis, array_axis] < 0:
            origin += matrix[:, array_axis] * (shape[array_axis] - 1)
            matrix[:, array_axis] *= -1
            voxels = np.flip(voxels, axis=array_axis)
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = origin
    return voxels, Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def canonical_grid(grid: Grid, spacing_mm: ArrayLike | None = None) -> Grid:
    """Return the canonical grid that covers a grid.

    Parameters
    ----------
    grid
        Any grid.
    spacing_mm
        One spacing, or three in array order (S, P, L); by default the grid's own.
    """
    _, turned = to_canonical_axes(np.empty(grid.shape, dtype=np.int8), grid)
    step = np.broadcast_to(
        np.asarray(turned.spacing_mm if spacing_mm is None else spacing_mm, float), (3,)
    )
    # Voxel centres span (n - 1) steps; the field of view reaches half a voxel further.
    low, high = turned.bounds_mm()
    reach = (high - low)[::-1] + np.array(turned.spacing_mm)
    shape = np.maximum(1, np.floor(reach / step + 1e-3)).astype(int)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = step
    affine[3, 3] = 1
    first = (low + high)[::-1] / 2 - (shape - 1) / 2 * step
    affine[:3, 3] = first[::-1]
    if turned.is_canonical and np.allclose(step, turned.spacing_mm):
        return turned
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _matched_axes(directions: NDArray[np.float64]) -> list[int]:
    """Return the patient axis that each array axis runs closest to, all distinct."""
    weight = np.abs(directions).copy()
    matched = [-1, -1, -1]
    for _ in range(3):
        patient, array = np.unravel_index(int(weight.argmax()), (3, 3))
        matched[int(array)] = int(patient)
        weight[patient, :] = -1
        weight[:, array] = -1
    return matched
