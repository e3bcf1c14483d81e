from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scanlearn.evaluate.segmentation import compare_label_maps, dice

maps = hnp.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 1, 2, 255]))
guesses = hnp.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 1, 2]))


@given(truth=maps, guess=guesses)
def test_dice_counts_labelled_voxels_only(truth, guess):
    both = mine = theirs = 0
    for t, g in zip(truth.flat, guess.flat, strict=True):
        if t == 255:
            continue
        both += t == 1 and g == 1
        mine += g == 1
        theirs += t == 1
    found = dice(truth, guess, 1)
    if mine + theirs == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(2 * both / (mine + theirs))


def test_classes_are_compared_by_name():
    truth = np.array([[[1, 1, 2, 255, 0]]])
    guess = np.array([[[1, 2, 2, 2, 0]]])
    found = compare_label_maps(truth, guess, names={1: "a", 2: "b"}, voxel_ml=0.5)
    assert found["a"] == {
        "dice": pytest.approx(2 / 3),
        "true_ml": 1.0,
        "predicted_ml": 0.5,
    }
    assert found["b"] == {
        "dice": pytest.approx(2 / 3),
        "true_ml": 0.5,
        "predicted_ml": 1.0,
    }
