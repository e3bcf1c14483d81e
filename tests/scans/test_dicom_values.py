"""Stored values of any kind become the values they stand for."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


def codes(scan) -> list[str]:
    return [problem.code for problem in scan.problems]


def test_every_slice_has_its_own_scale(
    tmp_path, write_series, stored_volume, even_positions
):
    write_series(
        tmp_path,
        stored_volume,
        even_positions,
        tags_of=lambda k: {"RescaleSlope": str(0.5 + k), "RescaleIntercept": str(k)},
    )
    scan = read_scan(tmp_path)
    k = np.arange(6)[:, None, None]
    assert scan.voxels.dtype == np.float32
    np.testing.assert_array_equal(scan.voxels, stored_volume * (0.5 + k) + k)


def test_whole_slopes_stay_whole(tmp_path, write_series, even_positions):
    stored = np.arange(-54, 54, dtype=np.int16).reshape(6, 3, 6)
    write_series(tmp_path, stored, even_positions, RescaleSlope=-2, RescaleIntercept=5)
    scan = read_scan(tmp_path)
    assert scan.voxels.dtype == np.int16
    np.testing.assert_array_equal(scan.voxels, stored * -2 + 5)


def test_values_beyond_int16_become_float32(tmp_path, write_series, even_positions):
    stored = np.full((6, 3, 4), 65535, np.uint16)
    write_series(tmp_path, stored, even_positions)
    scan = read_scan(tmp_path)
    assert scan.voxels.dtype == np.float32
    assert (scan.voxels == 65535 - 1024).all()


def test_large_unsigned_values_that_fit_stay_int16(
    tmp_path, write_series, even_positions
):
    stored = np.full((6, 3, 4), 33000, np.uint16)
    write_series(tmp_path, stored, even_positions)
    scan = read_scan(tmp_path)
    assert scan.voxels.dtype == np.int16
    assert (scan.voxels == 33000 - 1024).all()


@pytest.mark.parametrize("kind", ["u", "i"])
def test_bits_above_those_stored_are_cleared(
    tmp_path, write_series, even_positions, kind
):
    values = np.arange(72).reshape(6, 3, 4) - (36 if kind == "i" else 0)
    dirty = (values & 0x0FFF) | 0xA000
    stored = dirty.astype(np.uint16).view(f"{kind}2")
    write_series(tmp_path, stored, even_positions, BitsStored=12)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, values - 1024)


def test_padding_is_kept_and_noted(tmp_path, write_series, even_positions):
    stored = np.zeros((6, 3, 4), np.int16)
    stored[:, 0, 0] = -2000
    write_series(tmp_path, stored, even_positions, PixelPaddingValue=-2000)
    scan = read_scan(tmp_path)
    assert scan.voxels[0, 0, 0] == -3024
    assert "-3024" in scan.problems[0].text


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_other_transfer_syntaxes(
    tmp_path, write_series, stored_volume, even_positions, syntax
):
    for path in write_series(tmp_path, stored_volume, even_positions):
        dataset = pydicom.dcmread(path)
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(
            path,
            dataset,
            enforce_file_format=True,
        )
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)


def test_a_file_without_preamble(tmp_path, slice_of, stored_volume):
    dataset = slice_of(stored_volume[0], (1, 2, 3))
    dataset.preamble = None
    del dataset.file_meta
    path = tmp_path / "old"
    dataset.save_as(path, implicit_vr=True, little_endian=True)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.voxels[0], stored_volume[0].astype(int) - 1024)
    assert codes(scan) == ["single_slice"]
    assert not scan.is_radiograph


def test_monochrome1_turns_radiographs_only(
    tmp_path, write_series, save_slice, slice_of, stored_volume, even_positions
):
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}
    write_series(tmp_path / "ct", stored_volume, even_positions, **tags)
    scan = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)
    assert codes(scan) == ["monochrome1"]
    chest = slice_of(
        stored_volume[0],
        (0, 0, 0),
        **tags,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1",
        Modality="DX",
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        ImagerPixelSpacing=[0.15, 0.14],
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    scan = read_scan(save_slice(chest, tmp_path / "dx" / "a.dcm"))
    np.testing.assert_array_equal(scan.voxels[0], 4095 - stored_volume[0].astype(int))
    assert scan.is_radiograph
    assert scan.grid.is_canonical
    assert scan.grid.spacing_mm[1:] == (0.15, 0.14)


def test_radiographs_of_one_series_stay_apart(
    tmp_path, write_series, stored_volume, even_positions
):
    # Computed radiography: its class, and no place in the patient.
    tags = {
        "Modality": "CR",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1",
        "ImagePositionPatient": None,
        "ImageOrientationPatient": None,
    }
    write_series(tmp_path, stored_volume, even_positions, **tags)
    assert [e.shape for e in find_scans(tmp_path)] == [(1, 9, 11)] * 6


def test_a_ct_without_scale_is_reported(
    tmp_path, write_series, stored_volume, even_positions
):
    none = {"RescaleSlope": None, "RescaleIntercept": None}
    write_series(tmp_path, stored_volume, even_positions, **none)
    scan = read_scan(tmp_path)
    assert scan.acquisition.units == "arbitrary"
    assert codes(scan) == ["units"]
