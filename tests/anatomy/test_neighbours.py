"""Neighbours of landmarks: the nearest ones, ties drawn fairly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.anatomy.neighbours import nearest_landmarks

#: A grid of 3 x 4 x 2 landmarks, 26 mm apart.
GRID = np.array(list(itertools.product(range(3), range(4), range(2)))) * 26.0


def number(*place: int) -> int:
    return int(np.flatnonzero((np.array(place) * 26.0 == GRID).all(axis=1))[0])


def test_faces_of_the_grid_are_tied() -> None:
    found = nearest_landmarks(GRID, 2)
    middle, corner = number(1, 1, 0), number(0, 0, 0)
    assert found.sure[middle].size == 0
    faces = [(0, 1, 0), (2, 1, 0), (1, 0, 0), (1, 2, 0), (1, 1, 1)]
    assert set(found.tied[middle].tolist()) == {number(*face) for face in faces}
    assert len(found.tied[corner]) == 3


def test_a_lone_face_is_sure_and_the_next_distance_is_tied() -> None:
    points = np.array([[0, 0, 0], [26, 0, 0], [26, 26, 0], [26, 0, 26], [90, 90, 90]])
    found = nearest_landmarks(points, 2)
    assert found.sure[0].tolist() == [1]
    assert found.tied[0].tolist() == [2, 3]
    rng = np.random.default_rng(0)
    assert {tuple(found.draw(0, rng)) for _ in range(30)} == {(1, 2), (1, 3)}


def test_every_tie_is_drawn_equally_often() -> None:
    found, rng = nearest_landmarks(GRID, 2), np.random.default_rng(1)
    middle = number(1, 1, 0)
    drawn = np.array([found.draw(middle, rng) for _ in range(2000)])
    assert (drawn[:, 0] != drawn[:, 1]).all()
    counts = np.bincount(drawn.ravel())[found.tied[middle]]
    np.testing.assert_allclose(counts, 800, atol=120)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12))
def test_a_draw_is_as_near_as_a_sort_would_give(seed, count, landmarks) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 50, (landmarks, 3))
    found = nearest_landmarks(points, count)
    assert found.count == min(count, landmarks - 1)
    for one in range(landmarks):
        chosen = found.draw(one, rng)
        assert len(set(chosen.tolist()) - {one}) == found.count
        distance = np.linalg.norm(points - points[one], axis=1)
        nearest = np.sort(distance)[1 : found.count + 1]
        # Within the one per cent that counts as a tie.
        np.testing.assert_allclose(np.sort(distance[chosen]), nearest, rtol=0.021)


def test_an_atlas_measures_in_millimetres() -> None:
    # Two steps of 0.5: 25 mm along x, 100 mm along z.
    landmarks = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0, 0.5]], dtype=np.float32)
    atlas = Atlas("lungs", (100, 100, 400), landmarks, np.ones(3, dtype=np.float32))
    found = atlas.neighbours(1)
    assert [one.tolist() for one in found.tied] == [[1], [0], [0]]


@pytest.mark.parametrize("count", [0, 3])
def test_a_single_landmark_has_none(count: int) -> None:
    found = nearest_landmarks(np.zeros((1, 3)), count)
    assert found.draw(0, np.random.default_rng(0)).size == 0
