"""Placements: locations there and back, and what is wrong with a bad one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scanlearn.anatomy.default_lungs import default_lungs
from scanlearn.anatomy.frames import Frame, frame_of_mask
from scanlearn.anatomy.label_mask import LabelMask
from scanlearn.anatomy.landmarks import Atlas, make_atlas
from scanlearn.anatomy.placement import (
    Placement,
    implausible,
    measured,
    place,
    scales_and_rotation,
)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return make_atlas(
        default_lungs(), kind="lungs", patch_mm=32, step_mm=26, least_fraction=0.1
    )


def box_of(labels: LabelMask) -> Frame:
    return frame_of_mask(labels.mask > 0, labels.grid, kind="lungs")


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.3, 3)] * 3),
    st.tuples(*[st.floats(-900, 900)] * 3),
)
def test_locations_go_there_and_back(angles, scales, shift) -> None:
    matrix = np.eye(4)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, :3] = turn @ np.diag(scales)
    matrix[:3, 3] = shift
    frame = Frame((-100, -80, -120), (100, 80, 120), "lungs")
    one = Placement(frame, matrix, "affine", "")
    places = np.array([[-1, -1, -1], [1, 1, 1], [0, 0.5, -2.0]])
    np.testing.assert_allclose(
        one.to_location(one.to_patient(places)), places, atol=1e-9
    )
    np.testing.assert_allclose(one.to_patient([0, 0, 0]), shift, atol=1e-9)
    values, angle = scales_and_rotation(matrix)
    np.testing.assert_allclose(values, sorted(scales, reverse=True), atol=2e-4)
    expected = np.degrees(Rotation.from_matrix(turn).magnitude())
    assert angle == pytest.approx(expected, abs=0.1)


def test_lungs_are_registered_and_found_good(atlas, phantom_lungs) -> None:
    for labels in phantom_lungs:
        found = place(atlas, labels, box_of(labels))
        assert found.method == "affine"
        assert found.problems == ()
        assert found.is_usable
        assert found.quality.dice > 0.8
        simpler = place(replace(atlas, coords="moments"), labels, box_of(labels))
        assert simpler.method == "moments"
        assert simpler.quality.dice < found.quality.dice
        # Right is right: the side of every landmark's own voxel.
        sides = atlas.labels.at(atlas.frame.to_patient(atlas.landmarks))
        there = labels.at(found.to_patient(atlas.landmarks))
        both = (sides > 0) & (there > 0)
        assert (sides[both] == there[both]).mean() > 0.99


def test_quality_is_what_counting_voxels_gives(atlas, phantom_lungs) -> None:
    labels = phantom_lungs[1]
    found = place(atlas, labels, box_of(labels))
    points = labels.grid.to_patient(np.moveaxis(np.indices(labels.grid.shape), 0, -1))
    inverse = np.linalg.inv(found.matrix)
    warped = atlas.labels.at(points @ inverse[:3, :3].T + inverse[:3, 3])
    dice = [
        2
        * np.count_nonzero((warped == side) & (labels.mask == side))
        / (np.count_nonzero(warped == side) + np.count_nonzero(labels.mask == side))
        for side in (1, 2)
    ]
    assert found.quality.dice == pytest.approx(np.mean(dice), abs=0.02)
    assert found.quality.determinant == pytest.approx(
        np.linalg.det(found.matrix[:3, :3]), abs=1e-3
    )
    offsets = (np.indices((16, 16, 16)).reshape(3, -1).T + 0.5) * 2 - 16
    shares = np.array(
        [
            (labels.at(centre + offsets) > 0).mean()
            for centre in found.to_patient(atlas.landmarks)
        ]
    )
    assert found.quality.inside == pytest.approx(np.median(shares), abs=0.03)
    assert found.quality.missed == pytest.approx((shares < 0.05).mean(), abs=0.03)


@pytest.mark.parametrize(
    "shift", [(0, 0, 40), (0, 0, -40), (40, 0, 0), (0, 45, 0), (0, -45, 0)]
)
def test_a_registration_broken_on_purpose_is_caught(
    atlas, phantom_lungs, shift
) -> None:
    for labels in phantom_lungs:
        matrix = place(atlas, labels, box_of(labels)).matrix.copy()
        matrix[:3, 3] += shift
        assert measured(atlas, labels, matrix).problems
        matrix[:3, 3] += shift
        assert not measured(atlas, labels, matrix).is_usable


def test_a_turn_a_stretch_and_a_mirror_are_implausible(atlas, phantom_lungs) -> None:
    labels = phantom_lungs[0]
    good = place(atlas, labels, box_of(labels)).matrix
    assert implausible(*scales_and_rotation(good)) == ()
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("x", 40, degrees=True).as_matrix()
    (problem,) = implausible(*scales_and_rotation(good @ turn))
    assert "turned" in problem
    (problem,) = implausible(*scales_and_rotation(good @ np.diag([1, 1, 2.2, 1])))
    assert "stretched" in problem
    mirrored = implausible(*scales_and_rotation(good @ np.diag([-1.0, 1, 1, 1])))
    assert any("stretched" in problem for problem in mirrored)


def test_swapped_sides_fall_back_and_are_left_out(atlas, phantom_lungs) -> None:
    labels = phantom_lungs[0]
    swapped = np.where(labels.mask > 0, 3 - labels.mask, 0).astype(np.uint8)
    found = place(atlas, LabelMask(swapped, labels.grid), box_of(labels))
    assert found.method == "moments"
    assert "registration failed" in found.note
    assert not found.is_usable
    assert found.to_dict()["usable"] is False


def test_a_scan_without_lungs_is_left_out(atlas, phantom_lungs) -> None:
    labels = phantom_lungs[0]
    nothing = LabelMask(np.zeros_like(labels.mask), labels.grid)
    for missing in (None, nothing):
        found = place(atlas, missing, box_of(labels))
        assert not found.is_usable
        assert "no lungs mask" in found.problems[0]


def test_boxes_are_carried_to_boxes(atlas, phantom_lungs) -> None:
    labels = phantom_lungs[0]
    found = place(replace(atlas, coords="bbox"), labels, box_of(labels))
    own = frame_of_mask(atlas.labels.mask > 0, atlas.labels.grid, kind="lungs")
    corners = own.to_patient([[-1, -1, -1], [1, 1, 1]])
    there = found.to_patient(atlas.frame.to_location(corners))
    np.testing.assert_allclose(there, [box_of(labels).low, box_of(labels).high])

    plain = make_atlas(
        (100.0, 80.0, 60.0), kind="field", patch_mm=32, step_mm=26,
        least_fraction=0.1, coords="field",
    )  # fmt: skip
    field = Frame((0, 0, 0), (200, 120, 90), "field")
    one = place(plain, None, field)
    assert (one.method, one.quality, one.is_usable) == ("field", None, True)
    np.testing.assert_allclose(one.to_patient([0.5, 0, -1]), [150, 60, 0])
