"""Contours of one region against discs whose pixels are known without them."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scanlearn.scans.labels.contour_planes import (
    Flat,
    nearest_planes,
    planes_of_contours,
    slice_numbers,
)
from scanlearn.scans.labels.contours import fill_contours

SHAPE = (40, 44)
ROWS, COLUMNS = np.indices(SHAPE)

some = settings(max_examples=60, deadline=None)


def circle(centre, radius, points=720):
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.array(centre) + radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def distance(centre):
    return np.hypot(ROWS - centre[0], COLUMNS - centre[1])


def assert_equal_off_the_rims(mask, expected, discs):
    """Compare where no rim is so near that either answer is right."""
    near = np.zeros(SHAPE, bool)
    for centre, radius in discs:
        near |= np.abs(distance(centre) - radius) < 0.02
    np.testing.assert_array_equal(mask[~near], expected[~near])


@some
@given(
    outer=st.floats(9, 15),
    inner=st.floats(4, 8),
    island=st.floats(1, 3),
    other=st.tuples(st.floats(8, 30), st.floats(8, 34), st.floats(2, 8)),
    copies=st.integers(0, 2),
    data=st.data(),
)
def test_holes_islands_overlaps_and_copies(outer, inner, island, other, copies, data):
    """A ring with an island, and another disc that may touch it, in any order."""
    middle, beside = (20.3, 21.7), (other[0] + 0.1, other[1] + 0.2)
    apart = np.hypot(beside[0] - middle[0], beside[1] - middle[1])
    # Neither wholly in the ring's own material nor in its hole: an overlap, or apart.
    assume(apart > outer + 0.1 - other[2] and apart - other[2] > inner + 0.1)
    discs = [(middle, outer), (middle, inner), (middle, island), (beside, other[2])]
    drawn = [circle(*disc) for disc in discs]
    drawn += [circle(*discs[0])] * copies
    filled = fill_contours(data.draw(st.permutations(drawn)), SHAPE)
    ring = (distance(middle) < outer) & (distance(middle) > inner)
    expected = ring | (distance(middle) < island) | (distance(beside) < other[2])
    assert_equal_off_the_rims(filled, expected, discs)


@some
@given(outer=st.floats(8, 14), inner=st.floats(2, 6), turned=st.booleans())
def test_a_keyhole_is_a_hole(outer, inner, turned):
    """One contour runs round, along a channel in, round the hole and back."""
    middle = (20.3, 21.7)
    hole = circle(middle, inner)
    hole = hole[::-1] if turned else hole
    out = circle(middle, outer)
    joined = np.concatenate([out, out[:1], hole, hole[:1]])
    if turned:
        joined = np.concatenate([out, out[:1], np.roll(hole, 1, axis=0), hole[-1:]])
    expected = (distance(middle) < outer) & (distance(middle) > inner)
    found = fill_contours([joined], SHAPE)
    discs = [(middle, outer), (middle, inner)]
    assert_equal_off_the_rims(found, expected, discs)


@some
@given(
    offset=st.floats(-3, 3),
    count=st.integers(1, 12),
    jitter=st.lists(st.floats(-0.02, 0.02), min_size=12, max_size=12),
)
def test_contours_a_slice_apart_never_meet(offset, count, jitter):
    heights = [offset + k + jitter[k] for k in range(count)]
    numbers = slice_numbers(heights)
    assert len(set(numbers)) == count
    for height, number in zip(heights, numbers, strict=True):
        assert abs(height - number) <= 0.55
        if abs((height % 1) - 0.5) > 0.05:
            assert number == round(height)


@some
@given(st.lists(st.floats(0, 9), min_size=1, max_size=20))
def test_each_slice_takes_its_nearest_plane_and_none_is_lost_unsaid(heights):
    flats = [Flat(0, height, circle((20, 20), 5)) for height in heights]
    planes = planes_of_contours(flats)
    kept, left = nearest_planes(planes)
    assert sum(len(p.contours) for p in (*kept, *left)) == len(heights)
    numbers = [plane.slice_number for plane in kept]
    assert len(set(numbers)) == len(numbers)
    for plane in left:
        (winner,) = (p for p in kept if p.slice_number == plane.slice_number)
        assert winner.beside <= plane.beside
