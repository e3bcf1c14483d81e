"""Radiographs as squares: boxes lie where their pixels lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.cohort.record import Intensity
from scanlearn.encoders.pixels import image_pixels
from scanlearn.scans.boxes import as_boxes, to_plane
from scanlearn.scans.files.picture import picture_grid
from scanlearn.tasks.detection.box_images import (
    BoxSampler,
    boxes_of,
    objects_of,
)

UNIT = Intensity(units="unit", outside=0, percentiles=(0, 0.5, 1))


@given(
    st.tuples(st.integers(8, 200), st.integers(8, 200)),
    st.tuples(*[st.floats(-20, 200)] * 2, *[st.floats(0.5, 150)] * 2),
    st.sampled_from([64, 96, 256]),
)
@settings(max_examples=50, deadline=None)
def test_boxes_come_back_from_their_square(shape, box, side):
    grid = picture_grid(*shape, spacing_mm=(0.7, 0.4))
    boxes = to_plane(as_boxes([box]), grid)
    back = boxes_of(objects_of(boxes, grid, side), grid, side)
    np.testing.assert_allclose(back, boxes, atol=1e-6)


@pytest.mark.parametrize("shape", [(90, 60), (60, 90), (75, 75)])
def test_objects_are_where_their_pixels_are(shape):
    stored = np.zeros((1, *shape), np.float32)
    stored[0, 30:50, 20:44] = 1
    grid = picture_grid(*shape)
    ((row, column, height, width),) = objects_of(
        to_plane(as_boxes([(19.5, 29.5, 24, 20)]), grid), grid, 64
    )
    mass = image_pixels(stored, UNIT, side=64)[0].numpy()
    rows, columns = np.indices(mass.shape)
    assert (mass * rows).sum() / mass.sum() == pytest.approx(row, abs=0.05)
    assert (mass * columns).sum() / mass.sum() == pytest.approx(column, abs=0.05)
    assert mass.sum() / mass.max() == pytest.approx(height * width, rel=0.05)


class _Image:
    def __init__(self, *objects: tuple[float, ...]) -> None:
        self.objects = np.array(objects, np.float32).reshape(-1, 4)


def test_crops_lie_on_the_image_and_around_boxes():
    images = [_Image((3, 90, 6, 6), (50, 50, 9, 5)), _Image()]
    sampler = BoxSampler(images, side=96, crop=40, around=1.0)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        index, start = sampler.sample(rng)
        assert index == 0
        assert ((start >= 0) & (start <= 56)).all()
        objects = sampler.objects(index, start)
        inside = ((objects[:, :2] >= 0) & (objects[:, :2] < 40)).all(axis=1)
        assert inside.any()
        seen |= set(np.flatnonzero(inside))
        np.testing.assert_allclose(objects[:, :2] + start, images[0].objects[:, :2])
    assert seen == {0, 1}
    anywhere = BoxSampler(images, side=96, crop=40, around=0.0)
    assert {anywhere.sample(rng)[0] for _ in range(30)} == {0, 1}
    assert np.isnan(anywhere.objects(1, np.zeros(2, int))).all()
