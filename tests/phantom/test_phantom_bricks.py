"""Trees, fields and scattered points against slow or exact versions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from scanlearn.phantom.fields import draw_field
from scanlearn.phantom.patient import draw_patient
from scanlearn.phantom.scatter import keep_apart
from scanlearn.phantom.trees import Branches, grow, tree_parts
from scanlearn.scans.geometry import Grid


def test_kept_points_are_those_placed_one_after_the_other():
    points = np.random.default_rng(0).uniform(0, 30, (400, 3))
    slow: list[int] = []
    for k, point in enumerate(points):
        if all(np.linalg.norm(point - points[j]) > 5 for j in slow):
            slow.append(k)
    kept = keep_apart(points, 5.0)
    assert kept.tolist() == slow
    assert pdist(points[kept]).min() > 5


def test_a_field_has_the_same_values_on_a_grid_and_at_points():
    field = draw_field(np.random.default_rng(1), 12.0, (5.0, -8.0, 100.0))
    z, y, x = (
        np.linspace(low, low + 80, n, dtype=np.float32)
        for low, n in ((60, 9), (-50, 11), (-30, 7))
    )
    grid = field.on_axes(z, y, x)
    points = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1)[..., ::-1]
    assert np.allclose(field.at(points.reshape(-1, 3)), grid.ravel(), atol=1e-4)


def test_a_field_has_unit_variance():
    field = draw_field(np.random.default_rng(2), 6.0, (0.0, 0.0, 0.0))
    axis = np.arange(-200, 200, 5.3, dtype=np.float32)
    assert field.on_axes(axis, axis, axis).std() == pytest.approx(1, abs=0.05)


def test_a_tree_reaches_every_target_and_tapers():
    targets = np.random.default_rng(3).uniform(-40, 40, (200, 3))
    tree = grow(np.array([0.0, 0.0, -60.0]), targets, leaf_mm=0.5)
    twigs = tree.end[tree.leaves == 1]
    assert len(twigs) == 200
    assert np.allclose(np.sort(twigs, axis=0), np.sort(targets, axis=0))
    assert (tree.end_mm <= tree.start_mm).all()
    assert tree.end_mm.min() == pytest.approx(0.5)
    # Every branch but the trunk starts where another ends.
    ends = {tuple(np.round(end, 6)) for end in tree.end}
    starts = {tuple(np.round(start, 6)) for start in tree.start}
    assert len(starts - ends) == 1


@pytest.mark.parametrize("radius", [0.4, 4.0])
def test_a_painted_tube_has_its_volume(radius):
    one = Branches(
        np.array([[-11.0, 2.0, -13.0]]),
        np.array([[12.0, -3.0, 14.0]]),
        np.array([radius]),
        np.array([radius]),
        np.array([1]),
    )
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = 1.0
    affine[:, 3] = [-25, -25, -25, 1]
    part = tree_parts(one, Grid((50, 50, 50), affine), edge_mm=1.0)
    length = np.linalg.norm(one.end - one.start)
    volume = np.pi * radius**2 * length + 4 / 3 * np.pi * radius**3
    assert part.sum() == pytest.approx(volume, rel=0.15)


def test_patient_space_and_reference_body_are_inverse():
    patient = draw_patient(0, 5)
    reference = np.random.default_rng(4).uniform(-120, 120, (50, 3))
    place = patient.place_points(patient.to_patient(reference))
    found = np.stack([place.x, place.y, place.z], axis=1)
    assert np.abs(found - reference).max() < 0.02
