"""Labelled masks: coarse parts, boxes and text, against counting voxels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.anatomy.label_mask import LabelMask, coarse_labels, share_in_boxes
from scanlearn.scans.geometry import Grid


def grid_of(shape, spacing=(2.0, 2.0, 2.0), origin=(-31.0, 12.5, 400.0)) -> Grid:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:3, 3] = origin
    affine[3, 3] = 1
    return Grid(shape, affine)


def blob(spacing=(2.0, 2.0, 2.0)) -> LabelMask:
    """Return two uneven boxes in a larger grid."""
    mask = np.zeros((23, 31, 27), dtype=np.uint8)
    mask[4:15, 7:20, 3:11] = 1
    mask[6:19, 9:25, 12:20] = 2
    return LabelMask(mask, grid_of(mask.shape, spacing))


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (5.0, 1.0, 2.0)])
@pytest.mark.parametrize("margin", [0.0, 9.0])
def test_parts_keep_volume_and_centroid(spacing, margin) -> None:
    labels = blob(spacing)
    parts, grid = labels.parts(4.0, margin)
    points = grid.to_patient(np.moveaxis(np.indices(grid.shape), 0, -1))
    for label, part in enumerate(parts, start=1):
        volume = part.sum() * grid.voxel_ml * 1000
        assert volume == pytest.approx(labels.volumes_mm3(2)[label - 1])
        own = labels.grid.to_patient(np.argwhere(labels.mask == label)).mean(axis=0)
        centre = (points * part[..., None]).sum(axis=(0, 1, 2)) / part.sum()
        # Inside a coarse voxel a part has no place of its own.
        np.testing.assert_allclose(centre, own, atol=0.3)
    low, high = labels.bounds_mm()
    half = np.array(grid.spacing_mm[::-1]) / 2
    first, last = grid.bounds_mm()
    assert (first - half <= low - margin + 1e-6).all()
    assert (last + half >= high + margin - 1e-6).all()


def test_a_label_that_is_absent_is_an_empty_part() -> None:
    one = blob()
    only = LabelMask(np.where(one.mask == 1, 1, 0).astype(np.uint8), one.grid)
    parts, _ = only.parts(count=2)
    assert parts.shape[0] == 2
    assert parts[0].any()
    assert not parts[1].any()


def test_moments_and_bounds_are_those_of_the_voxels() -> None:
    labels = blob()
    points = labels.grid.to_patient(np.argwhere(labels.mask > 0))
    centre, spread = labels.moments()
    np.testing.assert_allclose(centre, points.mean(axis=0))
    np.testing.assert_allclose(spread, points.std(axis=0))
    low, high = labels.bounds_mm()
    np.testing.assert_allclose(low, points.min(axis=0) - 1)
    np.testing.assert_allclose(high, points.max(axis=0) + 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_shares_in_boxes_are_counted_shares(seed) -> None:
    labels = blob()
    parts, grid = labels.parts()
    rng = np.random.default_rng(seed)
    low, high = labels.bounds_mm()
    centres = rng.uniform(low - 20, high + 20, (3, 3))
    found = share_in_boxes(labels, centres, 16.0)
    offsets = (np.indices((32, 32, 32)).reshape(3, -1).T + 0.5) / 2 - 8
    for centre, share in zip(centres, found, strict=True):
        points = centre + offsets
        nearest = np.rint(grid.to_index(points)).astype(int)
        inside = ((nearest >= 0) & (nearest < grid.shape)).all(axis=1)
        coarse = parts.sum(axis=0)[tuple(nearest[inside].T)].sum() / len(points)
        # Points every half millimetre miss a box's faces by a quarter at most.
        assert share == pytest.approx(coarse, abs=0.03)
        # A coarse voxel knows how much of it is labelled, not which side.
        assert share == pytest.approx((labels.at(points) > 0).mean(), abs=0.2)


def test_a_coarse_mask_lies_around_the_origin() -> None:
    labels = blob()
    coarse = coarse_labels(labels)
    assert coarse.grid.spacing_mm == (4.0, 4.0, 4.0)
    low, high = coarse.bounds_mm()
    np.testing.assert_allclose(low, -high)
    np.testing.assert_allclose(coarse.volumes_mm3(2), labels.volumes_mm3(2), rtol=0.3)
    right, left = (
        coarse.grid.to_patient(np.argwhere(coarse.mask == side))[:, 0].mean()
        for side in (1, 2)
    )
    assert right < left


def test_a_mask_goes_through_json() -> None:
    coarse = coarse_labels(blob((5.0, 1.0, 2.0)))
    back = LabelMask.from_dict(json.loads(json.dumps(coarse.to_dict())))
    np.testing.assert_array_equal(back.mask, coarse.mask)
    assert back.grid.matches(coarse.grid)
    assert back.to_dict() == coarse.to_dict()


def test_beyond_the_grid_there_is_nothing() -> None:
    labels = blob()
    full = LabelMask(np.ones_like(labels.mask), labels.grid)
    low, high = full.bounds_mm()
    assert full.at((low + high) / 2) == 1
    assert full.at([low - 0.1, high + 0.1]).tolist() == [0, 0]
    empty = LabelMask(np.zeros_like(labels.mask), labels.grid)
    assert empty.is_empty
    assert share_in_boxes(empty, np.zeros((2, 3)), 8.0).tolist() == [0, 0]
    with pytest.raises(ValueError, match="moments"):
        empty.moments()
