"""Enhanced multi-frame CT, written here."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


def item(**values: object) -> Sequence:
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return Sequence([dataset])


@pytest.fixture
def enhanced(slice_of, stored_volume, even_positions):
    """Return an enhanced CT of six frames, stored from head to foot."""
    dataset = slice_of(
        stored_volume.reshape(54, 11),
        (0, 0, 0),
        SOPClassUID=EnhancedCTImageStorage,
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    dataset.Rows, dataset.NumberOfFrames = 9, 6
    scale = item(RescaleSlope=1, RescaleIntercept=-1000, RescaleType="HU")
    dataset.SharedFunctionalGroupsSequence = item(
        PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=item(PixelSpacing=[0.8, 0.7], SliceThickness=2.5),
        PixelValueTransformationSequence=scale,
    )
    frames = []
    for position in even_positions[::-1]:
        place = item(ImagePositionPatient=list(position))
        frames.append(item(PlanePositionSequence=place)[0])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return dataset


def test_frames_are_ordered_and_scaled(tmp_path, save_slice, enhanced, stored_volume):
    path = save_slice(enhanced, tmp_path / "multi")
    [entry] = find_scans(tmp_path)
    assert entry.shape == (6, 9, 11)
    for scan in (read_scan(path), read_scan(entry)):
        expected = stored_volume[::-1].astype(int) - 1000
        np.testing.assert_array_equal(scan.voxels, expected)
        assert scan.acquisition.units == "HU"
        np.testing.assert_allclose(scan.grid.spacing_mm, (2.5, 0.8, 0.7))
        np.testing.assert_allclose(scan.grid.to_patient((5, 0, 0)), (-30, -40, 112.5))


def test_time_points_of_one_file_become_scans(
    tmp_path, save_slice, enhanced, stored_volume, even_positions
):
    for number, frame in enumerate(enhanced.PerFrameFunctionalGroupsSequence):
        frame.FrameContentSequence = item(TemporalPositionIndex=number // 3 + 1)
        place = [float(p) for p in even_positions[number % 3]]
        frame.PlanePositionSequence[0].ImagePositionPatient = place
    path = save_slice(enhanced, tmp_path / "multi.dcm")
    first, second = find_scans(tmp_path)
    expected = stored_volume.astype(int) - 1000
    np.testing.assert_array_equal(read_scan(first).voxels, expected[:3])
    np.testing.assert_array_equal(read_scan(second).voxels, expected[3:])
    with pytest.raises(BadScan, match="2 scans"):
        read_scan(path)


def test_frames_without_positions_are_refused(tmp_path, save_slice, enhanced):
    del enhanced.PerFrameFunctionalGroupsSequence
    path = save_slice(enhanced, tmp_path / "cine.dcm")
    with pytest.raises(BadScan, match="several frames without positions"):
        read_scan(path)
