"""Boxes: pixels and millimetres, what they share, which one stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.cohort.ready_scan import ready_scan
from scanlearn.config.prepare import PrepareConfig
from scanlearn.scans.boxes import (
    OVERLAP_KEPT,
    as_boxes,
    box_centres,
    box_iou,
    keep_best_boxes,
    to_pixels,
    to_plane,
)
from scanlearn.scans.files.picture import picture_grid
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Scan

whole = st.integers(0, 12)
size = st.integers(1, 8)
whole_boxes = st.lists(st.tuples(whole, whole, size, size), max_size=5)


def painted(box: np.ndarray) -> np.ndarray:
    """Return which pixels of an image a box of whole pixels covers."""
    mask = np.zeros((24, 24), bool)
    x, y, width, height = box.astype(int)
    mask[y : y + height, x : x + width] = True
    return mask


@given(whole_boxes, whole_boxes)
@settings(max_examples=50, deadline=None)
def test_iou_equals_counted_pixels(one, other):
    one, other = as_boxes(one), as_boxes(other)
    found = box_iou(one, other)
    assert found.shape == (len(one), len(other))
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            both, either = painted(a) & painted(b), painted(a) | painted(b)
            assert found[i, j] == pytest.approx(both.sum() / either.sum())


@given(whole_boxes, st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_the_best_stay_as_one_by_one(rows, seed):
    boxes = as_boxes(rows)
    scores = np.random.default_rng(seed).permutation(len(boxes)) / 10
    slow: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        shared = [
            (painted(boxes[index]) & painted(boxes[k])).sum()
            / (painted(boxes[index]) | painted(boxes[k])).sum()
            for k in slow
        ]
        if all(share <= OVERLAP_KEPT for share in shared):
            slow.append(index)
    assert keep_best_boxes(boxes, scores).tolist() == slow


def turned_grid(rows: int, columns: int, mm: tuple[float, float], angle: float) -> Grid:
    """Return a grid in a plane that is turned in the patient."""
    grid = picture_grid(rows, columns, spacing_mm=mm)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0, 7], [s, c, 0, -3], [0, 0, 1, 11], [0, 0, 0, 1.0]])
    return Grid(grid.shape, turn @ grid.affine)


@given(
    st.tuples(st.integers(8, 90), st.integers(8, 90)),
    st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)),
    st.floats(-3, 3),
    st.tuples(*[st.floats(-20, 60)] * 2, *[st.floats(0.5, 40)] * 2),
    st.integers(8, 64),
)
@settings(max_examples=40, deadline=None)
def test_boxes_survive_a_cohort_of_another_size(shape, mm, angle, box, longest):
    source = turned_grid(*shape, mm, angle)
    scan = Scan(np.zeros(source.shape, np.float32), source)
    cohort = ready_scan(scan, PrepareConfig(radiograph_size=longest)).grid
    boxes = as_boxes([box])
    plane = to_plane(boxes, source)
    there = to_pixels(plane, cohort)
    np.testing.assert_allclose(to_pixels(plane, source), boxes, atol=1e-6)
    back = to_pixels(to_plane(there, cohort), source)
    np.testing.assert_allclose(back, boxes, atol=1e-6)
    # The middle is the same point of the patient on either grid.
    for grid, found in ((source, boxes), (cohort, there)):
        ((x, y),) = box_centres(found)
        point = grid.to_patient([0, y, x])
        ((u, v),) = box_centres(plane)
        assert point @ source.directions[:, 2] == pytest.approx(u, abs=1e-6)
        assert point @ source.directions[:, 1] == pytest.approx(v, abs=1e-6)


def test_a_box_holds_the_same_part_of_a_smaller_image():
    voxels = np.zeros((1, 120, 90), np.float32)
    voxels[0, 40:70, 20:44] = 1  # x 19.5 to 43.5, y 39.5 to 69.5
    grid = picture_grid(120, 90, spacing_mm=(0.5, 0.5))
    ready = ready_scan(Scan(voxels, grid), PrepareConfig(radiograph_size=60))
    plane = to_plane(as_boxes([(19.5, 39.5, 24, 30)]), grid)
    ((x, y, width, height),) = to_pixels(plane, ready.grid)
    bright = np.argwhere(ready.voxels[0] > 0.5)
    low, high = bright.min(axis=0) - 0.5, bright.max(axis=0) + 0.5
    np.testing.assert_allclose([y, x], low, atol=0.51)
    np.testing.assert_allclose([y + height, x + width], high, atol=0.51)
