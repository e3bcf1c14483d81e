from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

from scanlearn.metrics.overlap import iou
from scanlearn.metrics.surfaces import surface_distances
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.segmentation.scores import compare_label_maps
from scanlearn.tasks.shared.evaluation import remark_on_few, summary_of

maps = hnp.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 1, 2, 255]))
guesses = hnp.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 1, 2]))


@given(truth=maps, guess=guesses)
def test_overlap_counts_labelled_voxels_only(truth, guess):
    both = mine = theirs = 0
    for t, g in zip(truth.flat, guess.flat, strict=True):
        if t == 255:
            continue
        both += t == 1 and g == 1
        mine += g == 1
        theirs += t == 1
    grid = Grid(truth.shape, np.eye(4))
    found = compare_label_maps(truth, guess, grid, names={1: "a"}, whole=False)["a"]
    if mine + theirs == 0:
        assert found["dice"] is None
        assert found["iou"] == 1
    else:
        assert found["dice"] == pytest.approx(2 * both / (mine + theirs))
        assert found["iou"] == pytest.approx(both / (mine + theirs - both))
    assert found["voxels"] == theirs


def test_iou_of_a_volume_is_over_all_its_slices():
    # One slice is met in full, of the other a third of the union.
    truth = np.array([[[1, 1], [0, 0]], [[1, 1], [0, 0]]], bool)
    guess = np.array([[[1, 1], [0, 0]], [[0, 1], [0, 1]]], bool)
    assert iou(truth, guess) == 3 / 5
    assert iou(truth, ~truth) == 0
    nothing = np.zeros_like(truth)
    assert iou(nothing, nothing) == 1
    assert iou(truth, nothing) == 0


def test_classes_are_compared_by_name():
    truth = np.array([[[1, 1, 2, 255, 0]]])
    guess = np.array([[[1, 2, 2, 2, 0]]])
    grid = Grid(truth.shape, np.diag([10.0, 10.0, 5.0, 1.0]))
    found = compare_label_maps(truth, guess, grid, names={1: "a", 2: "b", 3: "c"})
    assert found["a"]["dice"] == pytest.approx(2 / 3)
    assert [found["a"][n] for n in ("true_ml", "predicted_ml")] == pytest.approx(
        [1.0, 0.5]
    )
    assert found["b"]["dice"] == pytest.approx(2 / 3)
    assert [found["b"][n] for n in ("true_ml", "predicted_ml")] == pytest.approx(
        [0.5, 1.5]
    )
    assert found["c"]["dice"] is None
    assert found["c"]["surface_mm"] is None
    partly = compare_label_maps(truth, guess, grid, names={1: "a"}, whole=False)
    assert partly["a"]["dice"] == found["a"]["dice"]
    assert partly["a"]["surface_mm"] is None
    assert partly["a"]["true_ml"] is None


def surface(mask):
    """The voxels of a mask with a face in the open, one by one."""
    inside = {tuple(i) for i in np.argwhere(mask).tolist()}
    steps = [*np.eye(3, dtype=int), *-np.eye(3, dtype=int)]
    open_to_air = [
        i for i in inside if any(tuple(np.add(i, d)) not in inside for d in steps)
    ]
    return np.array(open_to_air)


@settings(max_examples=25, deadline=None)
@given(
    corner=st.tuples(*[st.integers(1, 4)] * 3),
    size=st.tuples(*[st.integers(1, 5)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.7, 1.0, 2.5])] * 3),
)
def test_surfaces_are_as_far_apart_as_their_voxels(corner, size, spacing):
    truth, guess = np.zeros((2, 10, 10, 10), bool)
    truth[2:6, 3:6, 1:5] = True
    guess[tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))] = True
    z, y, x = spacing
    affine = np.array([[0, 0, x, 0], [0, y, 0, 0], [z, 0, 0, 0], [0, 0, 0, 1.0]])
    mean, far = surface_distances(truth, guess, Grid(truth.shape, affine))
    mm = cdist(surface(truth) * spacing, surface(guess) * spacing)
    forth, back = mm.min(axis=1), mm.min(axis=0)
    assert mean == pytest.approx(np.concatenate([forth, back]).mean(), abs=1e-4)
    expected = max(np.percentile(forth, 95), np.percentile(back, 95))
    assert far == pytest.approx(expected, abs=1e-4)


def test_a_patient_counts_once_and_few_are_said_aloud():
    found = summary_of({"a": [0.0, 1.0], "b": [1.0], "c": []})
    assert (found.mean, found.n) == (0.75, 2)
    # Student's t with one degree of freedom: 12.706 standard errors.
    half = 12.7062 * np.std([0.5, 1.0], ddof=1) / np.sqrt(2)
    assert found.high - found.mean == pytest.approx(half, rel=1e-4)
    assert summary_of({"a": []}) is None
    assert summary_of({"a": [0.3]}).low is None
    assert "Only 3 patients" in remark_on_few("aabc")[0]
    assert remark_on_few("abcdefghij") == []
