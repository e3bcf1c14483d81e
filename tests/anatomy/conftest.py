"""Lungs to register."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from scanlearn.anatomy.label_mask import LabelMask
from scanlearn.anatomy.lungs import lung_mask
from scanlearn.phantom.chest import make_chest
from scanlearn.scans.geometry import Grid


@pytest.fixture(scope="session")
def phantom_lungs() -> list[LabelMask]:
    """Return the lung masks of three phantoms."""
    masks = [lung_mask(make_chest(0, n, spacing_mm=(4, 3, 3)).scan) for n in range(3)]
    return [LabelMask(one.mask, one.grid) for one in masks]


@pytest.fixture(scope="session")
def warped():
    """Return a function: the patient that a map (4, 4) makes of an atlas."""
    return _warped


@pytest.fixture(scope="session")
def random_affine():
    """Return a function: a map (4, 4) about a point, within the given bounds."""
    return _random_affine


def _straight_grid(shape, origin, spacing=2.0) -> Grid:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:3, 3] = origin
    affine[3, 3] = 1
    return Grid(tuple(int(n) for n in shape), affine)


def _mapped(matrix: NDArray, points: NDArray) -> NDArray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _warped(labels: LabelMask, matrix: NDArray, spacing: float = 2.0) -> LabelMask:
    """Return the patient that a map (4, 4) makes of an atlas, voxel by voxel."""
    corners = np.array(list(itertools.product(*zip(*labels.bounds_mm(), strict=True))))
    ends = _mapped(matrix, corners)
    low = ends.min(axis=0) - 10
    size = np.ceil((ends.max(axis=0) + 10 - low) / spacing)
    grid = _straight_grid(size[::-1], low, spacing)
    points = grid.to_patient(np.moveaxis(np.indices(grid.shape), 0, -1))
    return LabelMask(labels.at(_mapped(np.linalg.inv(matrix), points)), grid)


def _random_affine(
    rng: np.random.Generator,
    about: NDArray,
    *,
    degrees: float = 6.0,
    scale: float = 0.15,
    shift_mm: float = 30.0,
) -> NDArray:
    """Draw a map: turned, then stretched along the axes or the other way round."""
    turn = Rotation.from_euler("xyz", rng.uniform(-degrees, degrees, 3), degrees=True)
    stretch = np.diag(rng.uniform(1 - scale, 1 + scale, 3))
    matrix = np.eye(4)
    pair = (turn.as_matrix(), stretch)
    matrix[:3, :3] = pair[0] @ pair[1] if rng.random() < 0.5 else pair[1] @ pair[0]
    matrix[:3, 3] = about + rng.uniform(-shift_mm, shift_mm, 3)
    matrix[:3, 3] -= matrix[:3, :3] @ about
    return matrix
