"""Turning an array onto a grid that has the same voxels in another axis order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.geometry import Grid

#: Largest distance between voxels that count as the same, as a share of the spacing.
SAME_VOXEL = 0.05


@dataclass(frozen=True)
class Turn:
    """A permutation of the array axes, then a flip of some of them."""

    axes: tuple[int, int, int]
    flips: tuple[int, ...]

    def voxels(self, array: NDArray[Any]) -> NDArray[Any]:
        """Turn an array of three axes; no value changes."""
        return np.flip(array.transpose(self.axes), axis=self.flips)

    def grid(self, grid: Grid) -> Grid:
        """Return where the voxels of a turned array are."""
        matrix = grid.affine[:3, :3][:, self.axes]
        shape = tuple(grid.shape[axis] for axis in self.axes)
        affine = grid.affine.copy()
        for axis in self.flips:
            affine[:3, 3] += matrix[:, axis] * (shape[axis] - 1)
            matrix[:, axis] *= -1
        affine[:3, :3] = matrix
        return Grid((shape[0], shape[1], shape[2]), affine)


def find_turn(source: Grid, target: Grid) -> Turn | None:
    """Return the turn that lays a source's voxels onto a target's, if there is one."""
    turn = turn_towards(source, target)
    tolerance = SAME_VOXEL * min(target.spacing_mm)
    if turn is None or not turn.grid(source).matches(target, tolerance_mm=tolerance):
        return None
    return turn


def turn_towards(source: Grid, target: Grid) -> Turn | None:
    """Return the turn after which a source's axes run closest to a target's."""
    steps = np.linalg.inv(source.affine[:3, :3]) @ target.affine[:3, :3]
    axes = np.abs(steps).argmax(axis=0)
    if len(set(axes.tolist())) < 3:
        return None
    flips = tuple(k for k in range(3) if steps[axes[k], k] < 0)
    return Turn((int(axes[0]), int(axes[1]), int(axes[2])), flips)
