"""Tools for labels, against shapes that are known in between and slow versions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from scanlearn.anatomy.label_tools import fill_between, middle_of, mirrored, smoothed


def cone(slices: int, side: int = 41) -> np.ndarray:
    """Return discs whose radius grows evenly from slice to slice."""
    y, x = np.meshgrid(*[np.arange(side) - side // 2] * 2, indexing="ij")
    radius = 5 + np.arange(slices)
    return np.hypot(y, x) <= radius[:, None, None]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cone_is_filled_between_its_ends(axis: int) -> None:
    truth = np.moveaxis(cone(11), 0, axis)
    painted = np.zeros_like(truth)
    ends = np.moveaxis(painted, axis, 0)
    ends[[0, -1]] = np.moveaxis(truth, axis, 0)[[0, -1]]
    found = fill_between(painted, axis, (1.0, 1.0, 1.0))
    overlap = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert overlap > 0.98
    assert np.array_equal(np.moveaxis(found, axis, 0)[0], ends[0])


def test_a_shape_that_wanders_is_met_halfway_where_it_overlaps() -> None:
    painted = np.zeros((5, 30, 30), dtype=bool)
    painted[0, 8:18, 8:18] = painted[4, 12:22, 12:22] = True
    found = fill_between(painted, 0, (5.0, 1.0, 1.0))
    centre = ndimage.center_of_mass(found[2])
    assert np.allclose(centre, (14.5, 14.5), atol=0.5)
    assert not found[1, :8].any()


@settings(max_examples=30, deadline=None)
@given(arrays(bool, (5, 4, 4)), st.integers(0, 2))
def test_painted_slices_stay_and_nothing_is_filled_beyond_them(
    mask: np.ndarray, axis: int
) -> None:
    found = np.moveaxis(fill_between(mask, axis, (2.0, 1.0, 1.0)), axis, 0)
    before = np.moveaxis(mask, axis, 0)
    there = np.flatnonzero(before.any(axis=(1, 2)))
    for number in range(len(before)):
        if before[number].any():
            assert np.array_equal(found[number], before[number])
        elif not there.size or not there[0] < number < there[-1]:
            assert not found[number].any()


@settings(max_examples=30, deadline=None)
@given(arrays(bool, (4, 6)), st.integers(0, 1), st.integers(0, 10).map(lambda n: n / 2))
def test_a_mirror_is_what_a_loop_makes(
    mask: np.ndarray, axis: int, middle: float
) -> None:
    expected = np.zeros_like(mask)
    for place in np.ndindex(mask.shape):
        other = list(place)
        other[axis] = int(2 * middle) - place[axis]
        if mask[place] and 0 <= other[axis] < mask.shape[axis]:
            expected[tuple(other)] = True
    assert np.array_equal(mirrored(mask, axis, middle), expected)


def test_the_middle_lies_between_the_ends_of_the_body() -> None:
    body = np.zeros((10, 12), dtype=bool)
    body[2:5, 3:10] = True
    assert middle_of(body, 0) == 3.0
    assert middle_of(body, 1) == 6.0
    assert middle_of(np.zeros((10, 12), dtype=bool), 1) == 5.5


def test_crumbs_and_holes_are_smoothed_away_and_a_disc_stays() -> None:
    disc = cone(9)[-1]
    rough = disc.copy()
    rough[20, 20] = False
    rough[1, 1] = True
    found = smoothed(rough, (1.0, 1.0))
    assert found[20, 20]
    assert not found[1, 1]
    assert 2 * (found & disc).sum() / (found.sum() + disc.sum()) > 0.97
    # In millimetres: a line of one thick pixel is no crumb, one of a fine pixel is.
    line = np.zeros((9, 40), dtype=bool)
    line[4] = True
    assert smoothed(line, (10.0, 1.0))[4].all()
    assert not smoothed(line, (1.0, 1.0)).any()
    # Coarse pixels are smoothed, too.
    assert not smoothed(rough, (10.0, 10.0))[1, 1]
