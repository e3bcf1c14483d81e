"""Which lung and third of its height a point lies in."""

from __future__ import annotations

import numpy as np
import pytest

from scanlearn.anatomy.lung_places import LungPlace, lung_places
from scanlearn.scans.geometry import Grid

#: Slices of 2 mm from z = -300: the right lung from -280 to -100, the left lower down.
GRID = Grid(
    (120, 40, 60),
    np.array([[0, 0, 2, -60], [0, 2, 0, -40], [2, 0, 0, -300], [0, 0, 0, 1.0]]),
)
MASK = np.zeros(GRID.shape, np.uint8)
MASK[10:101, 5:35, 3:25] = 1
MASK[5:86, 5:35, 35:57] = 2


@pytest.mark.parametrize(
    ("point", "side", "third"),
    [
        ((-40, 0, -110), "right", "upper"),
        ((-40, 0, -161), "right", "middle"),
        ((-40, 0, -221), "right", "lower"),
        ((40, 0, -140), "left", "upper"),
        ((40, 0, -289), "left", "lower"),
        ((-64, 0, -190), "right", "middle"),  # outside the pleura, and near
        ((-40, 0, -95), "right", "upper"),  # above the apex, and near
    ],
)
def test_points_lie_in_their_lung_and_third(point, side, third):
    assert lung_places([point], MASK, GRID) == [LungPlace(side, third)]


def test_what_is_near_no_lung_has_no_place():
    far = [(0, 0, -20), (-60, 90, -200), (500, 500, 500), (-500, 0, -200)]
    assert lung_places(far, MASK, GRID) == [LungPlace()] * 4
    assert lung_places(np.zeros((0, 3)), MASK, GRID) == []
    assert LungPlace().text == ""
    assert LungPlace("left", "lower").text == "left lower"


def test_the_nearest_lung_counts():
    rng = np.random.default_rng(0)
    points = rng.uniform((-70, -50, -310), (70, 50, -90), size=(60, 3))
    inside = np.argwhere(MASK)
    where = GRID.to_patient(inside)
    for point, place in zip(points, lung_places(points, MASK, GRID), strict=True):
        apart = np.linalg.norm(where - point, axis=1)
        near = MASK[tuple(inside[apart.argmin()])] if apart.min() <= 15 else 0
        assert place.side == ("", "right", "left")[near]
