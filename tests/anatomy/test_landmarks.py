"""The atlas: landmarks on a regular grid where there is lung."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.anatomy.frames import Frame
from scanlearn.anatomy.landmarks import Atlas, make_atlas
from scanlearn.scans.geometry import Grid

#: 104 x 78 x 52 mm: four, three and two steps of 26 mm along x, y, z.
FRAME = Frame((-10.0, 20.0, 300.0), (94.0, 98.0, 352.0), "lungs")


def atlas_of(frames, masks, *, least=0.1, patch=26.0, at_most=None) -> Atlas:
    return make_atlas(
        frames, masks, patch_mm=patch, step_mm=26.0, least_fraction=least,
        at_most=at_most,
    )  # fmt: skip


def mask_of(frame: Frame, inside) -> tuple[np.ndarray, Grid]:
    """Make a 2 mm mask of a frame from a function of locations (..., 3)."""
    shape = tuple(int(n) for n in np.ceil(frame.size_mm[::-1] / 2))
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = 2
    affine[:, 3] = *(np.array(frame.low) + 1), 1
    grid = Grid(shape, affine)
    points = grid.to_patient(np.moveaxis(np.indices(shape), 0, -1))
    return inside(frame.to_location(points)), grid


def test_landmarks_are_a_step_apart_around_the_middle() -> None:
    atlas = atlas_of([FRAME], [None])
    assert atlas.kind == "lungs"
    assert atlas.size_mm == (104, 78, 52)
    x, y, z = (np.unique(column) for column in atlas.landmarks.T)
    np.testing.assert_allclose(x, [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(y, [-2 / 3, 0, 2 / 3], atol=1e-6)
    np.testing.assert_allclose(z, [-0.5, 0.5])
    assert len(atlas.landmarks) == 24
    assert atlas.landmarks.dtype == np.float32
    np.testing.assert_allclose(atlas.fraction, 1, atol=1e-6)
    points = FRAME.to_patient(atlas.landmarks)
    nearest = np.linalg.norm(points[1:] - points[0], axis=1).min()
    assert nearest == pytest.approx(26, abs=1e-4)


def test_landmarks_stay_where_there_is_lung() -> None:
    right = mask_of(FRAME, lambda where: where[..., 0] < 0)
    atlas = atlas_of([FRAME], [right])
    assert len(atlas.landmarks) == 12
    assert (atlas.landmarks[:, 0] < 0).all()
    assert atlas.fraction.min() > 0.85

    upper = mask_of(FRAME, lambda where: where[..., 2] > 0)
    assert (atlas_of([FRAME], [upper]).landmarks[:, 2] > 0).all()
    back = mask_of(FRAME, lambda where: where[..., 1] > 0.34)
    assert (atlas_of([FRAME], [back], least=0.5).landmarks[:, 1] > 0.6).all()


def test_the_mask_is_the_mean_of_patients_of_any_size() -> None:
    big = Frame((0, 0, 0), (130.0, 97.5, 65.0), "lungs")
    small = Frame((500.0, -80, -900), (578.0, -21.5, -861.0), "lungs")
    frames = [FRAME, big, small]

    def right(where):
        return where[..., 0] < 0

    masks = [mask_of(frame, right) for frame in frames]
    atlas = atlas_of(frames, masks)
    assert atlas.size_mm == (104, 78, 52)  # the median
    assert len(atlas.landmarks) == 12

    def left(where):
        return where[..., 0] > 0

    masks[0] = mask_of(FRAME, left)
    mixed = atlas_of(frames, masks, least=0.0)
    sides = mixed.landmarks[:, 0] < 0
    assert mixed.fraction[sides] == pytest.approx(2 / 3, abs=0.1)
    assert mixed.fraction[~sides] == pytest.approx(1 / 3, abs=0.1)
    assert (atlas_of(frames, masks, least=0.5).landmarks[:, 0] < 0).all()


def test_a_share_is_that_of_the_patch() -> None:
    half = mask_of(FRAME, lambda where: where[..., 0] < -0.75)
    atlas = atlas_of([FRAME], [half], least=0.0)
    first = np.isclose(atlas.landmarks[:, 0], -0.75)
    assert atlas.fraction[first] == pytest.approx(0.5, abs=0.1)
    assert atlas.fraction.min() > 0  # strictly more than the least
    wide = atlas_of([FRAME], [half], least=0.0, patch=78.0)
    assert len(wide.landmarks) > len(atlas.landmarks)


def test_without_any_lung_all_places_are_kept() -> None:
    nothing = mask_of(FRAME, lambda where: np.zeros(where.shape[:3], dtype=bool))
    assert len(atlas_of([FRAME], [nothing]).landmarks) == 24


def test_a_frame_smaller_than_a_step_has_its_middle() -> None:
    atlas = atlas_of([Frame((0, 0, 0), (9.0, 9.0, 9.0))], [None])
    np.testing.assert_array_equal(atlas.landmarks, [[0, 0, 0]])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40))
def test_an_even_choice_keeps_the_ends(at_most) -> None:
    every = atlas_of([FRAME], [None]).landmarks.tolist()
    chosen = atlas_of([FRAME], [None], at_most=at_most).landmarks.tolist()
    assert len(chosen) == min(at_most, 24)
    places = [every.index(one) for one in chosen]
    assert places == sorted(set(places))
    if len(chosen) > 1:
        assert (places[0], places[-1]) == (0, 23)
        gaps = np.diff(places)
        assert gaps.max() - gaps.min() <= 1


def test_an_atlas_goes_through_json() -> None:
    right = mask_of(FRAME, lambda where: where[..., 0] < 0.1)
    atlas = atlas_of([FRAME], [right])
    back = Atlas.from_dict(json.loads(json.dumps(atlas.to_dict())))
    assert (back.kind, back.size_mm) == (atlas.kind, atlas.size_mm)
    np.testing.assert_allclose(back.landmarks, atlas.landmarks, atol=1e-6)
    np.testing.assert_allclose(back.fraction, atlas.fraction, atol=1e-4)
    assert back.landmarks.dtype == atlas.landmarks.dtype
    assert back.to_dict() == atlas.to_dict()
