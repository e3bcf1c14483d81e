"""Compressed pixels, against the uncompressed voxels they were made from."""

from __future__ import annotations

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from scanlearn.errors import BadScan
from scanlearn.scans.dicom_pixels import RUN_LENGTH
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan

SYNTAXES = {
    "jpeg lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "jpeg-ls": gdcm.TransferSyntax.JPEGLSLossless,
    "jpeg 2000": gdcm.TransferSyntax.JPEG2000Lossless,
    "rle": gdcm.TransferSyntax.RLELossless,
    "jpeg extended": gdcm.TransferSyntax.JPEGExtendedProcess2_4,
}


def compress(path, kind: str) -> None:
    """Compress a file in place."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(SYNTAXES[kind]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.fixture
def smooth() -> np.ndarray:
    """Return 12-bit slices (6, 32, 32) that every encoder handles."""
    z, y, x = np.mgrid[:6, :32, :32]
    return (1000 + 40 * z + 17 * y + 11 * x).astype(np.uint16)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", "jpeg 2000", "rle"])
def test_lossless_compressions_are_exact(
    tmp_path, write_series, smooth, even_positions, kind, modality
):
    tags = {"Modality": "CT"}
    if modality == "MR":
        tags = {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}
    paths = write_series(tmp_path, smooth, even_positions, BitsStored=12, **tags)
    for path in paths:
        compress(path, kind)
    scan = read_scan(tmp_path)
    assert scan.voxels.dtype == np.int16
    np.testing.assert_array_equal(scan.voxels, smooth.astype(int) - 1024)


def test_signed_compressed_values_keep_their_sign(
    tmp_path, write_series, smooth, even_positions
):
    signed = smooth.astype(np.int16) - 2000
    tags = {"RescaleIntercept": 0}
    for path in write_series(tmp_path, signed, even_positions, **tags):
        compress(path, "jpeg lossless")
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, signed)


def test_twelve_bit_jpeg_extended_is_read(
    tmp_path, write_series, smooth, even_positions
):
    paths = write_series(tmp_path, smooth, even_positions, BitsStored=12)
    for path in paths:
        compress(path, "jpeg extended")
    scan = read_scan(tmp_path)
    assert np.abs(scan.voxels - (smooth.astype(int) - 1024)).max() <= 8


def test_each_compressed_slice_has_its_own_scale(
    tmp_path, write_series, smooth, even_positions
):
    paths = write_series(
        tmp_path,
        smooth,
        even_positions,
        BitsStored=12,
        tags_of=lambda k: {"RescaleIntercept": -k},
    )
    for path in paths:
        compress(path, "jpeg lossless")
    expected = smooth.astype(int) - np.arange(6)[:, None, None]
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, expected)


def test_more_slices_than_one_run(tmp_path, write_series):
    count = 2 * RUN_LENGTH + 1
    stored = np.arange(count * 64, dtype=np.uint16).reshape(count, 8, 8)
    positions = [(0, 0, float(k)) for k in range(count)]
    for path in write_series(tmp_path, stored, positions, BitsStored=12):
        compress(path, "jpeg lossless")
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, stored.astype(int) - 1024)


def test_a_truncated_compressed_slice_is_named(
    tmp_path, write_series, smooth, even_positions
):
    paths = write_series(tmp_path, smooth, even_positions, BitsStored=12)
    for path in paths:
        compress(path, "jpeg lossless")
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[:-60])
    assert "s002.dcm is truncated" in find_scans(tmp_path)[0].error
    with pytest.raises(BadScan, match=r"s002\.dcm is truncated"):
        read_scan(tmp_path)


def test_damaged_compressed_pixels_are_named(
    tmp_path, write_series, smooth, even_positions
):
    paths = write_series(tmp_path, smooth, even_positions, BitsStored=12)
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless, encoding_plugin="pydicom")
        if path == paths[4]:
            broken = bytearray(dataset.PixelData)
            broken[20:84] = b"\xff" * 64
            dataset.PixelData = bytes(broken)
        dataset.save_as(path)
    with pytest.raises(BadScan, match=r"s004\.dcm cannot be decoded \(RLE Lossless"):
        read_scan(tmp_path)
