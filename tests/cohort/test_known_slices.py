"""Slices that somebody looked at, against masks made voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scanlearn.cohort.labels.known_slices import (
    KnownSlices,
    laid_over,
    with_unknown_ignored,
)
from scanlearn.cohort.labels.paint import IGNORED, how_known
from scanlearn.scans.geometry import Grid

SHAPE = (5, 4, 6)

Marks = list[tuple[int, int]]

marks = st.lists(
    st.integers(0, 2).flatmap(
        lambda axis: st.tuples(st.just(axis), st.integers(0, SHAPE[axis] - 1))
    ),
    max_size=5,
)


def known(chosen: Marks) -> KnownSlices:
    made = KnownSlices.none(SHAPE)
    for axis, index in chosen:
        made = made.marked(axis, [index])
    return made


def by_voxel(chosen: Marks) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, dtype=bool)
    for place in np.ndindex(SHAPE):
        mask[place] = any(place[axis] == index for axis, index in chosen)
    return mask


@given(marks)
def test_a_voxel_is_known_if_one_of_its_slices_is(chosen: Marks) -> None:
    made = known(chosen)
    assert np.array_equal(made.mask(), by_voxel(chosen))
    assert made.nothing == (not chosen)
    labels = np.arange(120, dtype=np.uint8).reshape(SHAPE)
    seen = with_unknown_ignored(labels, made)
    assert seen.dtype == np.uint8
    assert np.array_equal(seen, np.where(by_voxel(chosen), labels, IGNORED))


@given(marks, marks)
def test_what_was_known_before_stays_where_it_is_not_known_now(
    now: Marks, before: Marks
) -> None:
    mine, theirs = np.full(SHAPE, 1, np.uint8), np.full(SHAPE, 2, np.uint8)
    laid, both = laid_over(mine, known(now), theirs, known(before))
    for place in np.ndindex(SHAPE):
        earlier = by_voxel(before)[place] and not by_voxel(now)[place]
        assert laid[place] == (2 if earlier else 1)
    assert np.array_equal(both.mask(), by_voxel(now) | by_voxel(before))


def test_a_slice_is_taken_back_and_all_may_count() -> None:
    made = known([(0, 1), (0, 3), (2, 5)])
    grid = Grid(SHAPE, np.eye(4))
    fewer = made.marked(0, [3], known=False)
    assert not fewer.holds(0, 3)
    assert fewer.holds(0, 1)
    assert made.holds(0, 3)  # the other is as it was
    assert "1 of 5" in fewer.counted(grid)
    assert "1 of 6" in fewer.counted(grid)
    whole = KnownSlices(made.along, whole=True)
    assert whole.mask().all()
    assert whole.counted(grid) == "whole scan"


@pytest.mark.parametrize(("axis", "index"), [(0, 2), (1, 3), (2, 0)])
def test_the_plane_that_was_looked_at_is_told(axis: int, index: int) -> None:
    labels = np.full(SHAPE, IGNORED, dtype=np.uint8)
    np.moveaxis(labels, axis, 0)[index] = 0  # background alone, and looked at
    how = how_known(labels, Grid(SHAPE, np.eye(4)))
    assert (how.axis, how.painted, how.slices) == (axis, 1, SHAPE[axis])
    assert how.text.endswith("slices looked at; all else is ignored")
