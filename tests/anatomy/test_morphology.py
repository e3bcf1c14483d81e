"""Shifted-copy morphology against scipy's filters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from scanlearn.anatomy.morphology import (
    bounding_box,
    closed,
    dilate,
    erode,
    fill_in_slices,
    grow_labels,
    opened,
)

masks = arrays(
    np.bool_, st.tuples(*[st.integers(1, 9)] * 3), elements=st.booleans(), fill=None
)
CROSS = ndimage.generate_binary_structure(3, 1)
BOX = np.ones((3, 3, 3), dtype=bool)


@settings(deadline=None)
@given(masks, st.integers(0, 3))
def test_dilation_and_erosion_are_scipys(mask, steps) -> None:
    grown, shrunk = mask, mask
    for step in range(steps):
        ball = BOX if step % 2 else CROSS
        grown = ndimage.binary_dilation(grown, ball)
        shrunk = ndimage.binary_erosion(shrunk, ball, border_value=1)
    np.testing.assert_array_equal(dilate(mask, steps), grown)
    np.testing.assert_array_equal(erode(mask, steps), shrunk)


@settings(deadline=None)
@given(masks, st.integers(1, 3))
def test_opening_removes_and_closing_adds_and_both_are_stable(mask, steps) -> None:
    assert not (opened(mask, steps) & ~mask).any()
    assert not (mask & ~closed(mask, steps)).any()
    once = closed(mask, steps)
    np.testing.assert_array_equal(closed(once, steps), once)


@settings(deadline=None)
@given(masks)
def test_holes_are_filled_slice_by_slice(mask) -> None:
    expected = np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
    np.testing.assert_array_equal(fill_in_slices(mask), expected)


def test_labels_grow_inside_only_and_meet_halfway() -> None:
    inside = np.zeros((1, 1, 12), dtype=bool)
    inside[..., :11] = True
    labels = np.zeros(inside.shape, dtype=np.uint8)
    labels[0, 0, 0], labels[0, 0, 10] = 1, 2

    grown = grow_labels(labels, inside, steps=20)

    assert grown[0, 0].tolist() == [1] * 5 + [2] * 6 + [0]
    assert grow_labels(labels, inside, steps=2)[0, 0, 4] == 0


def test_bounding_box_stays_within_the_array() -> None:
    mask = np.zeros((5, 6, 7), dtype=bool)
    mask[2, 3, 1:6] = True
    assert bounding_box(mask) == (slice(2, 3), slice(3, 4), slice(1, 6))
    assert bounding_box(mask, 2) == (slice(0, 5), slice(1, 6), slice(0, 7))
    with pytest.raises(ValueError, match="empty"):
        bounding_box(np.zeros((2, 2, 2), dtype=bool))
