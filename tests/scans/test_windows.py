from __future__ import annotations

import numpy as np
import pytest

from scanlearn.scans.dicom.uneven import fill_evenly
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Scan
from scanlearn.scans.windows import display_range, suggested_window, window_range


def scan_of(voxels: np.ndarray, units: str) -> Scan:
    return Scan(voxels, Grid(voxels.shape, np.eye(4)), Acquisition("CT", units))


def test_a_ct_opens_in_the_window_that_fits():
    voxels = np.full((10, 10, 10), 40, np.int16)
    assert display_range(scan_of(voxels, "HU")) == (-160, 240)
    voxels[:2] = -850
    assert suggested_window(scan_of(voxels, "HU")) == "lung"
    assert display_range(scan_of(voxels, "HU")) == window_range("lung") == (-1350, 150)


def test_other_scans_open_between_percentiles():
    voxels = np.linspace(0, 1000, 1000).reshape(10, 10, 10).astype(np.float32)
    low, high = display_range(scan_of(voxels, "arbitrary"))
    assert low == pytest.approx(10, abs=1)
    assert high == pytest.approx(995, abs=1)


def test_a_flat_scan_has_a_range():
    assert display_range(scan_of(np.full((2, 2, 2), 5.0), "arbitrary")) == (5, 6)
    voxels = np.zeros((20, 20, 20))
    voxels[0, 0, 0] = 9
    assert display_range(scan_of(voxels, "arbitrary")) == (0, 9)


def test_slices_at_whole_places_are_untouched():
    slices = np.arange(12, dtype=np.int16).reshape(3, 2, 2) * 10
    filled = fill_evenly(slices, np.array([0.0, 1.0, 3.0]))
    np.testing.assert_array_equal(filled[[0, 1, 3]], slices)
    np.testing.assert_array_equal(filled[2], (slices[1] + slices[2]) / 2)
    assert filled.dtype == np.int16
