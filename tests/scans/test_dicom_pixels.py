"""Compressed pixels, against the uncompressed voxels they were made from."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
import SimpleITK
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.pixel_data import RUN_LENGTH
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


@pytest.fixture
def smooth() -> np.ndarray:
    """Return 12-bit slices (6, 32, 32) that every encoder handles."""
    z, y, x = np.mgrid[:6, :32, :32]
    return (1000 + 40 * z + 17 * y + 11 * x).astype(np.uint16)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", "jpeg 2000", "rle"])
def test_lossless_compressions_are_exact(
    tmp_path, compress, write_series, smooth, even_positions, kind, modality
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
    tmp_path, compress, write_series, smooth, even_positions
):
    signed = smooth.astype(np.int16) - 2000
    tags = {"RescaleIntercept": 0}
    for path in write_series(tmp_path, signed, even_positions, **tags):
        compress(path, "jpeg lossless")
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, signed)


def test_twelve_bit_jpeg_extended_is_read(
    tmp_path, compress, write_series, smooth, even_positions
):
    paths = write_series(tmp_path, smooth, even_positions, BitsStored=12)
    for path in paths:
        compress(path, "jpeg extended")
    scan = read_scan(tmp_path)
    assert np.abs(scan.voxels - (smooth.astype(int) - 1024)).max() <= 8


def test_each_compressed_slice_has_its_own_scale(
    tmp_path, compress, write_series, smooth, even_positions
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


def test_more_slices_than_one_run(tmp_path, compress, write_series):
    count = 2 * RUN_LENGTH + 1
    stored = np.arange(count * 64, dtype=np.uint16).reshape(count, 8, 8)
    positions = [(0, 0, float(k)) for k in range(count)]
    for path in write_series(tmp_path, stored, positions, BitsStored=12):
        compress(path, "jpeg lossless")
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, stored.astype(int) - 1024)


def test_a_truncated_compressed_slice_is_named(
    tmp_path, compress, write_series, smooth, even_positions
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


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "kind", ["jpeg lossless", "jpeg lossless 14", "jpeg-ls", "jpeg 2000", "rle"]
)
@pytest.mark.parametrize("bits", [12, 16])
def test_signs_and_depths_survive_every_lossless_compression(
    tmp_path, compress, write_series, even_positions, kind, signed, bits
):
    values = np.random.default_rng(bits).integers(0, 1 << bits, (6, 16, 16))
    stored = values.astype(np.uint16)
    if signed:
        stored = (values - (1 << bits - 1)).astype(np.int16)
    tags = {"BitsStored": bits, "RescaleIntercept": 0}
    for path in write_series(tmp_path, stored, even_positions, **tags):
        compress(path, kind)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, stored)


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        ("jpeg baseline", 8),
        ("jpeg extended", 12),
        ("jpeg-ls lossy", 12),
        ("jpeg 2000 lossy", 12),
    ],
)
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_lossy_compressions_agree_with_other_decoders(
    tmp_path, compress, write_series, smooth, even_positions, kind, bits, modality
):
    dtype = np.uint8 if bits == 8 else np.uint16
    stored = (smooth // (1 if bits == 12 else 16)).astype(dtype)
    tags = {"Modality": "CT"}
    if modality == "MR":
        tags = {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}
    paths = write_series(tmp_path, stored, even_positions, BitsStored=bits, **tags)
    for path in paths:
        compress(path, kind)
    voxels = read_scan(tmp_path).voxels
    for path, found in zip(paths, voxels, strict=True):
        image = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]
        np.testing.assert_array_equal(found, image)
    assert np.abs(voxels + 1024.0 - stored).max() <= 8


def test_jpeg_baseline_agrees_with_pillow(
    tmp_path, save_slice, slice_of, compress, smooth
):
    stored = (smooth[0] // 16).astype(np.uint8)
    path = save_slice(slice_of(stored, (0, 0, 0), BitsStored=8), tmp_path / "a")
    compress(path, "jpeg baseline")
    [frame] = generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1)
    expected = np.asarray(Image.open(io.BytesIO(frame))).astype(int) - 1024
    assert np.abs(read_scan(path).voxels[0] - expected).max() <= 1


def test_a_compressed_radiograph(tmp_path, save_slice, slice_of, compress, smooth):
    tags = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR"}
    tags |= {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}
    dataset = slice_of(smooth[0], (0, 0, 0), **tags, RescaleIntercept=None)
    path = compress(save_slice(dataset, tmp_path / "a"), "jpeg lossless")
    scan = read_scan(path)
    assert scan.is_radiograph
    np.testing.assert_array_equal(scan.voxels[0], 4095 - smooth[0].astype(int))


def test_an_unknown_compression_is_refused_by_name(
    tmp_path, save_slice, slice_of, compress, smooth
):
    dataset = slice_of(smooth[0], (0, 0, 0), BitsStored=12)
    path = compress(save_slice(dataset, tmp_path / "a.dcm"), "jpeg 2000")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    dataset.save_as(path)
    with pytest.raises(BadScan, match=r"a\.dcm cannot be decoded \(MPEG2"):
        read_scan(path)


@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", "rle"])
def test_decimal_commas_do_not_disturb_decoders(
    tmp_path, compress, write_series, smooth, even_positions, kind
):
    tags = {"BitsStored": 12, "RescaleSlope": "0.5", "RescaleIntercept": "-1024.5"}
    for path in write_series(tmp_path, smooth, even_positions, **tags):
        whole = compress(path, kind).read_bytes()
        for dotted in (b"0.8\\0.7", b"-1024.5", b"0.5 ", b"-40.0"):
            assert dotted in whole
            whole = whole.replace(dotted, dotted.replace(b".", b","))
        path.write_bytes(whole)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, smooth * 0.5 - 1024.5)
    np.testing.assert_allclose(scan.grid.spacing_mm, (2.5, 0.8, 0.7))


def test_commas_in_places_of_compressed_ct(
    tmp_path, compress, write_series, smooth, even_positions
):
    for path in write_series(tmp_path, smooth, even_positions, BitsStored=12):
        whole = compress(path, "jpeg lossless").read_bytes()
        path.write_bytes(whole.replace(b"0.8\\0.7", b"0,8\\0,7"))
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, smooth.astype(int) - 1024)
