"""The radiograph shows what the volume holds."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from scanlearn.phantom.chest import Disease
from scanlearn.phantom.radiograph import make_radiograph, write_png


@pytest.fixture(scope="module")
def pair():
    return (
        make_radiograph(0, 5, disease=Disease(0, "none", 0)),
        make_radiograph(0, 5, disease=Disease(3, "none", 0)),
    )


def test_nodules_show_inside_their_boxes(pair):
    healthy, sick = pair
    assert (healthy.label, sick.label) == ("normal", "abnormal")
    assert len(sick.boxes) == 3
    assert not healthy.boxes
    change = np.abs(sick.pixels.astype(float) - healthy.pixels)
    inside = np.zeros(change.shape, bool)
    rows, columns = np.indices(change.shape)
    for box in sick.boxes:
        inside |= (
            (columns >= box.x)
            & (columns <= box.x + box.width)
            & (rows >= box.y)
            & (rows <= box.y + box.height)
        )
    assert 0 < inside.sum() < 0.05 * inside.size
    assert change[inside].mean() > 10 * change[~inside].mean()


def test_the_heart_is_white_and_on_the_image_right(pair):
    pixels = pair[0].pixels.astype(float)
    rows, columns = pixels.shape
    lower = pixels[int(rows * 0.5) : int(rows * 0.6)].mean(axis=0)
    middle = columns // 2
    right_of_patient = lower[middle - 45 : middle - 15].mean()
    left_of_patient = lower[middle + 15 : middle + 45].mean()
    assert left_of_patient > right_of_patient


def test_png_keeps_every_grey_level(pair, tmp_path):
    path = write_png(tmp_path / "image.png", pair[0])
    assert np.array_equal(np.asarray(Image.open(path)) // 16, pair[0].pixels)
