"""The atlas: landmarks on a regular grid where there is lung."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.anatomy.default_lungs import default_lungs
from scanlearn.anatomy.label_mask import LabelMask, share_in_boxes
from scanlearn.anatomy.landmarks import Atlas, make_atlas
from scanlearn.scans.geometry import Grid

#: 104 x 78 x 52 mm: four, three and two steps of 26 mm along x, y, z.
SIDES = (104.0, 78.0, 52.0)


def box_atlas(sides=SIDES, **changes) -> Atlas:
    return atlas_of(sides, kind="field", coords="bbox", **changes)


def atlas_of(shape, **changes) -> Atlas:
    wanted = {"patch_mm": 26.0, "step_mm": 26.0, "least_fraction": 0.1, "kind": "lungs"}
    return make_atlas(shape, **wanted | changes)


def box_mask(low, high) -> LabelMask:
    """Return a 2 mm mask of SIDES with a full box between two corners in mm."""
    shape = tuple(round(side / 2) for side in SIDES[::-1])
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = 2
    affine[:, 3] = 1, 1, 1, 1
    grid = Grid(shape, affine)
    points = grid.to_patient(np.moveaxis(np.indices(shape), 0, -1))
    inside = ((points > low) & (points < high)).all(axis=-1)
    return LabelMask(inside.astype(np.uint8), grid)


def test_landmarks_are_a_step_apart_around_the_middle() -> None:
    atlas = box_atlas()
    assert atlas.size_mm == SIDES
    x, y, z = (np.unique(column) for column in atlas.landmarks.T)
    np.testing.assert_allclose(x, [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(y, [-2 / 3, 0, 2 / 3], atol=1e-6)
    np.testing.assert_allclose(z, [-0.5, 0.5])
    assert len(atlas.landmarks) == 24
    assert atlas.landmarks.dtype == np.float32
    np.testing.assert_allclose(atlas.fraction, 1)
    points = atlas.frame.to_patient(atlas.landmarks)
    nearest = np.linalg.norm(points[1:] - points[0], axis=1).min()
    assert nearest == pytest.approx(26, abs=1e-4)


def test_cells_cover_the_whole_shape() -> None:
    for sides in ((105.0, 78.0, 52.0), (90.0, 30.0, 53.0)):
        points = box_atlas(sides).landmarks * np.array(sides) / 2
        reach = np.abs(points).max(axis=0) + 13
        assert (reach >= np.array(sides) / 2 - 1e-3).all()


def test_the_release_s_rule_on_centres(phantom_lungs) -> None:
    """Every cell of the grid is kept exactly when more than a tenth of it is lung."""
    atlas = atlas_of(phantom_lungs[0], patch_mm=32.0)
    counts = [int(np.ceil(side / 26)) for side in atlas.size_mm]
    axes = [(np.arange(n) - (n - 1) / 2) * 26 for n in counts]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    share = share_in_boxes(atlas.labels, cells, 32.0)
    kept = atlas.frame.to_patient(atlas.landmarks)
    np.testing.assert_allclose(kept, cells[share > 0.1], atol=1e-3)
    np.testing.assert_allclose(atlas.fraction, share[share > 0.1], atol=1e-6)
    # An adult's lungs hold some hundreds, like the release's 581 in 6.5 litres.
    assert 250 < len(kept) < 600


def test_landmarks_stay_where_there_is_lung() -> None:
    labels = box_mask((0, 0, 0), (52, 78, 52))
    corner = LabelMask(labels.mask.copy(), labels.grid)
    corner.mask[-4:, -4:, -4:] = 2  # a dot at the far end keeps the box large
    atlas = atlas_of(corner, least_fraction=0.6)
    assert (atlas.landmarks[:, 0] < 0).all()
    assert atlas.fraction.min() > 0.6


def test_the_bar_rises_where_there_would_be_a_thousand() -> None:
    sides = (400.0, 400.0, 400.0)
    labels = default_lungs()
    many = atlas_of(labels, step_mm=14.0, patch_mm=32.0)
    assert len(many.landmarks) < 1000
    assert many.fraction.min() > 0.2
    # A plain box is full everywhere: no bar helps, and all are kept.
    assert len(box_atlas(sides).landmarks) == 16**3


def test_no_place_is_better_than_the_best_one() -> None:
    dot = box_mask((30, 30, 20), (36, 36, 26))
    atlas = atlas_of(dot, least_fraction=0.9)
    assert len(atlas.landmarks) == 1


def test_a_shape_smaller_than_a_step_has_its_middle() -> None:
    np.testing.assert_array_equal(box_atlas((9.0, 9.0, 9.0)).landmarks, [[0, 0, 0]])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40))
def test_an_even_choice_keeps_the_ends(at_most) -> None:
    every = box_atlas().landmarks.tolist()
    chosen = box_atlas(at_most=at_most).landmarks.tolist()
    assert len(chosen) == min(at_most, 24)
    places = [every.index(one) for one in chosen]
    assert places == sorted(set(places))
    if len(chosen) > 1:
        assert (places[0], places[-1]) == (0, 23)
        gaps = np.diff(places)
        assert gaps.max() - gaps.min() <= 1


def test_an_atlas_goes_through_json_and_keeps_its_hash() -> None:
    for atlas in (atlas_of(default_lungs()), box_atlas()):
        back = Atlas.from_dict(json.loads(json.dumps(atlas.to_dict())))
        assert back.to_dict() == atlas.to_dict()
        assert back.hash == atlas.hash
        np.testing.assert_allclose(back.landmarks, atlas.landmarks, atol=1e-6)
        assert back.landmarks.dtype == atlas.landmarks.dtype


@pytest.mark.parametrize(
    "change",
    [
        {"size_mm": [1.0, 2.0, 3.0]},
        {"landmarks": [[0.0, 0.0, 0.1]]},
        {"coords": "moments"},
        {"hash": "0" * 16},
    ],
)
def test_a_changed_atlas_is_refused(change) -> None:
    with pytest.raises(ValueError, match="hash"):
        Atlas.from_dict(box_atlas().to_dict() | change)


def test_where_an_atlas_comes_from_does_not_change_its_hash() -> None:
    assert box_atlas().hash == box_atlas(source="P-1").hash
    assert box_atlas().hash != box_atlas(patch_mm=30.0).hash


def test_a_size_that_is_written_otherwise_does_not_change_its_hash() -> None:
    assert box_atlas(patch_mm=32).hash == box_atlas(patch_mm=32.0).hash
