"""Any orientation, any order of slices: physical positions are kept."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.scans.dicom.places import plane_axes
from scanlearn.scans.dicom.series import group_slices
from scanlearn.scans.dicom.slice_geometry import stack_slices

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@st.composite
def rotations(draw) -> np.ndarray:
    w, x, y, z = (draw(st.floats(-1, 1)) for _ in range(4))
    size = w * w + x * x + y * y + z * z
    if size < 1e-3:
        return np.eye(3)
    s = 2 / size
    return np.array(
        [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
    )


@settings(max_examples=80, deadline=None)
@given(
    turn=rotations(),
    order=st.permutations(range(7)),
    step=st.floats(0.4, 10),
    tilt=st.floats(-0.4, 0.4),
    backwards=st.booleans(),
)
def test_every_slice_keeps_its_place(slices_at, turn, order, step, tilt, backwards):
    along_row, along_column, normal = turn
    origin = np.array([12.0, -345.0, 67.0])
    direction = normal * step + along_column * tilt * step
    places = np.arange(7)[::-1] if backwards else np.arange(7)
    positions = origin + np.outer(places, direction)
    slices = slices_at(positions, (*along_row, *along_column))
    stack = stack_slices([slices[k] for k in order])
    assert stack.error == ""
    assert stack.uneven is None
    for k, header in enumerate(stack.slices):
        np.testing.assert_allclose(
            stack.grid.to_patient((k, 0, 0)), header.position, atol=0.011
        )
        corner = (
            np.array(header.position) + 3 * 0.7 * along_column + 4 * 0.9 * along_row
        )
        np.testing.assert_allclose(stack.grid.to_patient((k, 3, 4)), corner, atol=0.011)
    heights = [np.dot(s.position, normal) for s in stack.slices]
    assert all(a < b for a, b in itertools.pairwise(heights))


@settings(max_examples=60, deadline=None)
@given(gone=st.sets(st.integers(1, 10), min_size=1, max_size=3), step=st.floats(0.5, 8))
def test_missing_slices_are_counted(slices_at, gone, step):
    places = [k for k in range(12) if k not in gone]
    stack = stack_slices(slices_at([(0, 0, step * k) for k in places], AXIAL))
    assert stack.uneven is not None
    assert stack.uneven.code == "missing"
    assert stack.uneven.text.startswith(f"{len(gone)} slice")
    assert stack.grid.shape[0] == 12
    np.testing.assert_array_equal(stack.places, places)


def test_slices_shifted_sideways_are_no_volume(slices_at):
    positions = [(0, 0, 0), (0, 0, 1), (5, 0, 2), (0, 0, 3)]
    [scan] = group_slices(slices_at(positions, AXIAL))
    assert "shifted sideways by up to 5.0 mm" in scan.error


@pytest.mark.parametrize("orientation", [(), (0,) * 6, (1, 0, 0, 1, 0, 0)])
def test_unusable_orientations(slices_at, orientation):
    assert not plane_axes(orientation).any()
    [scan] = group_slices(slices_at([(0, 0, 0)], orientation))
    assert "no position or no orientation" in scan.error


def test_nearly_equal_orientations_belong_together(slices_at):
    nearly = (1.0, 4e-4, 0.0, -4e-4, 1.0, 0.0)
    slices = slices_at([(0, 0, k) for k in range(4)], AXIAL)
    slices[2] = replace(slices[2], orientation=nearly)
    assert len(group_slices(slices)) == 1


def test_overlapping_slices_are_noted(slices_at):
    slices = slices_at([(0, 0, k) for k in range(4)], AXIAL)
    thick = [replace(s, thickness=3.0) for s in slices]
    assert [p.code for p in stack_slices(thick).problems] == ["overlap"]


def test_a_series_without_spacing_is_marked(slices_at):
    slices = slices_at([(0, 0, k) for k in range(4)], AXIAL)
    [scan] = group_slices([replace(s, pixel_spacing=()) for s in slices])
    assert [p.code for p in scan.problems] == ["no_spacing"]
    assert scan.grid is not None
    assert scan.grid.spacing_mm == (1, 1, 1)
