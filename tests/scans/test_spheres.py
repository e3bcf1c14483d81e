"""Spheres against counted voxels and against one after another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.scans.spheres import as_spheres, distances, keep_best, sphere_iou


@pytest.mark.parametrize(
    ("apart", "large", "small"), [(0, 20, 20), (8, 20, 12), (3, 20, 8), (25, 20, 20)]
)
def test_overlap_equals_counted_voxels(apart, large, small):
    z, y, x = np.mgrid[-15:15:0.25, -12:12:0.25, -12:26:0.25]
    one = x**2 + y**2 + z**2 < (large / 2) ** 2
    other = (x - apart) ** 2 + y**2 + z**2 < (small / 2) ** 2
    counted = (one & other).sum() / (one | other).sum()
    found = sphere_iou(
        as_spheres([[0, 0, 0, large]]), as_spheres([[apart, 0, 0, small]])
    )
    assert found[0, 0] == pytest.approx(counted, abs=0.01)


def test_overlap_of_no_spheres():
    assert sphere_iou(as_spheres([]), as_spheres([[0, 0, 0, 3]])).shape == (0, 1)


def slow_keep(spheres: np.ndarray, scores: np.ndarray) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        for other in kept:
            gap = np.sqrt(((spheres[index, :3] - spheres[other, :3]) ** 2).sum())
            if gap < max(spheres[index, 3], spheres[other, 3]) / 2:
                break
        else:
            kept.append(index)
    return kept


@given(st.integers(0, 2**32 - 1), st.integers(0, 25))
@settings(max_examples=60, deadline=None)
def test_suppression_equals_one_after_another(seed, count):
    rng = np.random.default_rng(seed)
    spheres = np.column_stack(
        [rng.uniform(0, 40, (count, 3)), rng.uniform(3, 30, count)]
    )
    scores = rng.integers(0, 8, count) / 8
    assert keep_best(spheres, scores).tolist() == slow_keep(spheres, scores)
    stays = spheres[keep_best(spheres, scores)]
    gaps = distances(stays, stays) + np.diag([np.inf] * len(stays))
    assert (gaps >= np.maximum(stays[:, None, 3], stays[:, 3]) / 2).all()
