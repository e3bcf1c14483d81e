"""Radiographs in picture files."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(".png", "u1"), (".png", "u2"), (".tif", "u1"), (".tiff", "u2"), (".tif", "f4")],
)
def test_values_are_kept(tmp_path, suffix, dtype):
    values = (np.arange(20).reshape(4, 5) * 12).astype(dtype)
    path = tmp_path / f"chest{suffix}"
    Image.fromarray(values).save(path)
    [entry] = find_scans(path)
    scan = read_scan(entry)
    assert scan.voxels.dtype == dtype
    np.testing.assert_array_equal(scan.voxels[0], values)
    assert entry.shape == scan.voxels.shape == (1, 4, 5)
    assert scan.grid.is_canonical
    assert scan.is_radiograph
    assert scan.patient == "chest"
    assert [p.code for p in scan.problems] == ["no_spacing"]


def test_jpeg_and_grey_in_three_channels(tmp_path):
    values = np.full((8, 8), 99, np.uint8)
    Image.fromarray(values).save(tmp_path / "a.jpg")
    Image.fromarray(np.stack([values] * 3, axis=-1)).save(tmp_path / "b.png")
    for path in (tmp_path / "a.jpg", tmp_path / "b.png"):
        np.testing.assert_array_equal(read_scan(path).voxels[0], values)


def test_colour_becomes_brightness_with_a_warning(tmp_path):
    values = np.zeros((4, 4, 3), np.uint8)
    values[..., 0] = 200
    Image.fromarray(values).save(tmp_path / "a.png")
    scan = read_scan(tmp_path / "a.png")
    assert [p.code for p in scan.problems] == ["no_spacing", "colour"]
    assert scan.voxels.dtype == np.uint8


def test_damage_is_refused(tmp_path):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(BadScan, match=r"a\.png cannot be read as a radiograph"):
        read_scan(path)
    path.write_text("no picture")
    with pytest.raises(BadScan, match="no picture"):
        read_scan(path)


def test_every_page_of_a_tiff_is_a_radiograph(tmp_path):
    sizes = [(4, 5), (6, 3), (2, 2)]
    values = [np.full(size, 40 * k, np.uint8) for k, size in enumerate(sizes)]
    pages = [Image.fromarray(page) for page in values]
    path = tmp_path / "b.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    entries = find_scans(tmp_path)
    assert [(e.volume, e.shape) for e in entries] == [
        (k, (1, *size)) for k, size in enumerate(sizes)
    ]
    for entry, page in zip(entries, values, strict=True):
        scan = read_scan(entry)
        np.testing.assert_array_equal(scan.voxels[0], page)
        assert [p.code for p in scan.problems] == ["no_spacing"]
    assert "pages" in [p.code for p in read_scan(path).problems]
    np.testing.assert_array_equal(read_scan(path, volume=2).voxels[0], values[2])
    with pytest.raises(BadScan, match=r"b\.tif has no page 3.*0 to 2"):
        read_scan(path, volume=3)


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_in_which_white_is_zero_is_turned(tmp_path, bits):
    values = np.arange(20).reshape(4, 5) * (12 if bits == 8 else 3000)
    stored = values.astype(f"u{bits // 8}")
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    scan = read_scan(tmp_path / "a.tif")
    np.testing.assert_array_equal(scan.voxels[0], (1 << bits) - 1 - values)
    assert scan.voxels.dtype == np.dtype(f"u{bits // 8}")


def test_big_endian_tiff_becomes_native(tmp_path):
    stored = (np.arange(20).reshape(4, 5) * 3000).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, byteorder=">")
    scan = read_scan(tmp_path / "a.tif")
    assert scan.voxels.dtype.isnative
    np.testing.assert_array_equal(scan.voxels[0], stored)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_in_three_deep_channels_keeps_its_bits(tmp_path, suffix):
    values = (np.arange(20).reshape(4, 5) * 3001).astype(np.uint16)
    image = SimpleITK.GetImageFromArray(np.stack([values] * 3, axis=-1), isVector=True)
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(image, str(path))
    scan = read_scan(path)
    assert scan.voxels.dtype == np.uint16
    np.testing.assert_array_equal(scan.voxels[0], values)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_pictures_agree_with_simpleitk(tmp_path, suffix):
    noise = np.random.default_rng(3).integers(0, 255, (33, 47)).astype(np.uint8)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(noise).save(path)
    expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_array_equal(read_scan(path).voxels[0], expected)


def test_a_folder_of_pictures_gives_one_scan_each(tmp_path):
    for name in ("b", "a", "c"):
        Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / f"{name}.png")
    assert [e.patient for e in find_scans(tmp_path)] == ["a", "b", "c"]
    with pytest.raises(BadScan, match="3 scans"):
        read_scan(tmp_path)


def test_real_radiographs(real_data):
    folder = real_data / "radiographs" / "tuberculosis" / "images"
    entries = find_scans(folder)
    assert len(entries) == 101
    scan = read_scan(entries[0])
    np.testing.assert_array_equal(scan.voxels[0], Image.open(entries[0].path))
