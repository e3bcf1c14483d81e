"""The sheet between the lungs against every path there is."""

from __future__ import annotations

import itertools

import numpy as np

from scanlearn.anatomy.sides import _cheapest_paths, split_sides


def test_paths_are_the_cheapest_of_all() -> None:
    rng = np.random.default_rng(0)
    cost = rng.random((6, 5, 4))
    found = _cheapest_paths(cost)
    for plane, path in zip(cost, found, strict=True):
        assert np.abs(np.diff(path)).max() <= 1
        best = min(
            sum(plane[row, column] for row, column in enumerate(columns))
            for columns in itertools.product(range(4), repeat=5)
            if all(abs(a - b) <= 1 for a, b in itertools.pairwise(columns))
        )
        assert sum(plane[r, c] for r, c in enumerate(path)) == np.float64(best)


def test_lungs_that_touch_are_parted_at_the_membrane() -> None:
    hu = np.full((8, 20, 41), 40.0, dtype=np.float32)
    hu[:, 2:18, 2:39] = -850
    # A membrane that bends, and is airy enough to be joined to both.
    bend = 20 + np.rint(2 * np.sin(np.arange(20) / 4)).astype(int)
    for row in range(20):
        hu[:, row, bend[row]] = -600

    sides = split_sides(hu, hu < -400, least_voxels=50)

    for row in range(2, 18):
        assert (sides[:, row, 2 : bend[row]] == 1).all()
        assert (sides[:, row, bend[row] + 1 : 39] == 2).all()


def test_small_pieces_are_dropped_and_an_empty_mask_stays_empty() -> None:
    lungs = np.zeros((10, 10, 30), dtype=bool)
    lungs[2:8, 2:8, 2:10] = True
    lungs[0, 0, 28] = True
    hu = np.where(lungs, -850, 40).astype(np.float32)
    sides = split_sides(hu, lungs, least_voxels=20)
    assert sides[0, 0, 28] == 0
    assert np.count_nonzero(sides) == 6 * 6 * 8
    assert not split_sides(hu, np.zeros_like(lungs), least_voxels=20).any()
