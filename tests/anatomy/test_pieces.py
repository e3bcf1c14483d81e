"""Connected pieces: by hand, and against a flood from every voxel."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scanlearn.anatomy.pieces import is_one_piece, largest_piece, with_largest_pieces


def flooded(mask: np.ndarray) -> list[set[tuple[int, ...]]]:
    """Return the pieces of a mask, voxels that touch at a corner together."""
    left = set(map(tuple, np.argwhere(mask).tolist()))
    steps = list(itertools.product((-1, 0, 1), repeat=3))
    pieces = []
    while left:
        front, piece = [min(left)], set()
        while front:
            voxel = front.pop()
            if voxel in left:
                left.remove(voxel)
                piece.add(voxel)
                front += [tuple(np.add(voxel, step).tolist()) for step in steps]
        pieces.append(piece)
    return pieces


@settings(max_examples=40, deadline=None)
@given(arrays(bool, (3, 4, 5), elements=st.sampled_from([False, False, False, True])))
def test_the_largest_piece_is_that_of_a_flood(mask) -> None:
    pieces = flooded(mask)
    kept = set(map(tuple, np.argwhere(largest_piece(mask)).tolist()))
    assert len(kept) == max(map(len, pieces), default=0)
    assert not kept or kept in pieces


def test_only_the_named_classes_lose_pieces() -> None:
    labels = np.zeros((1, 3, 12), np.uint8)
    labels[0, 1, 0:4] = 1
    labels[0, 1, 6:8] = 1
    labels[0, 0, 9] = labels[0, 2, 11] = 2
    found = with_largest_pieces(labels, [1, 3])
    assert np.flatnonzero(found[0, 1]).tolist() == [0, 1, 2, 3]
    assert (found == 2).sum() == 2
    assert (labels == 1).sum() == 6


def test_a_large_mistake_elsewhere_takes_no_place_of_what_is_one_body() -> None:
    labels = np.zeros((1, 3, 20), np.uint8)
    labels[0, 1, 0:6] = 1
    labels[0, 1, 6:9] = 2
    labels[0, 1, 14:18] = 2  # larger than the true one
    alone = with_largest_pieces(labels, [1, 2])
    assert np.flatnonzero(alone[0, 1] == 2).tolist() == [14, 15, 16, 17]
    found = with_largest_pieces(labels, [1, 2], together=True)
    assert np.flatnonzero(found[0, 1] == 2).tolist() == [6, 7, 8]
    assert np.flatnonzero(found[0, 1] == 1).tolist() == [0, 1, 2, 3, 4, 5]
    assert not with_largest_pieces(labels * 0, [1], together=True).any()


def test_crumbs_are_no_second_piece() -> None:
    mask = np.zeros((4, 10, 30), bool)
    mask[:, :, :25] = True
    assert is_one_piece(mask)
    mask[0, 0, 28] = True
    assert is_one_piece(mask)
    mask[:, :5, 27:] = True
    assert not is_one_piece(mask)
    assert is_one_piece(np.zeros((2, 2, 2), bool))
