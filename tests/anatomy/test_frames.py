"""Frames: locations mean the same corner in every patient, and go back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.anatomy.frames import Frame, frame_of, frame_of_field, frame_of_mask
from scanlearn.anatomy.lungs import LungMask, lung_mask
from scanlearn.phantom.chest import make_chest
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Scan

numbers = st.floats(-500, 500)
sizes = st.floats(1, 600)


@settings(deadline=None)
@given(
    st.tuples(numbers, numbers, numbers),
    st.tuples(sizes, sizes, sizes),
    st.tuples(numbers, numbers, numbers),
)
def test_locations_go_there_and_back(low, size, point) -> None:
    high = tuple(a + b for a, b in zip(low, size, strict=True))
    frame = Frame(low, high)
    np.testing.assert_allclose(
        frame.to_patient(frame.to_location(point)), point, atol=1e-9
    )
    np.testing.assert_allclose(frame.to_location(low), -1, atol=1e-9)
    np.testing.assert_allclose(frame.to_location(high), 1, atol=1e-9)
    np.testing.assert_allclose(frame.to_location(np.add(low, size) / 1), 1, atol=1e-9)


def test_a_frame_with_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        Frame((0, 0, 0), (1, 0, 1))


def test_frame_of_a_mask_surrounds_its_voxels_without_spikes() -> None:
    mask = np.zeros((40, 50, 60), dtype=bool)
    mask[10:30, 5:45, 20:40] = True
    mask[30:38, 20, 30] = True  # a spike of 8 voxels out of 16,000
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = 2
    affine[:, 3] = -10, -20, -30, 1
    frame = frame_of_mask(mask, Grid(mask.shape, affine), kind="lungs")
    np.testing.assert_allclose(frame.low, (-10 + 39, -20 + 9, -30 + 19))
    np.testing.assert_allclose(frame.high, (-10 + 79, -20 + 89, -30 + 59))


def test_field_of_an_oblique_grid_and_of_a_single_slice() -> None:
    turn = np.deg2rad(30)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    frame = frame_of_field(Grid((10, 10, 10), affine))
    reach = 10 * (np.cos(turn) + np.sin(turn))
    np.testing.assert_allclose(frame.size_mm[:2], reach)
    thin = np.diag([0.1, 1, 1, 1])
    assert frame_of_field(Grid((1, 5, 5), thin)).size_mm.min() == pytest.approx(1)


def test_ct_takes_lungs_then_body_and_others_the_field() -> None:
    phantom = make_chest(0, 1, spacing_mm=(6, 4, 4))
    scan = phantom.scan
    lungs = lung_mask(scan)
    frame = frame_of(scan, lungs)
    assert frame.kind == "lungs"
    truth = scan.grid.to_patient(np.argwhere(phantom.truth["lungs"] > 0))
    spread = np.abs(frame.to_location(truth))
    assert np.percentile(spread, 99) <= 1.05
    assert spread.max(axis=0).min() > 0.9

    nothing = LungMask(np.zeros_like(lungs.mask), lungs.grid, 0, 0)
    assert frame_of(scan, nothing).kind == "body"
    assert (frame_of(scan).size_mm > frame.size_mm).all()
    assert frame_of(Scan(scan.voxels, scan.grid, Acquisition("MR"))).kind == "field"
    air = np.full_like(scan.voxels, -1000)
    assert frame_of(Scan(air, scan.grid, scan.acquisition)).kind == "field"
