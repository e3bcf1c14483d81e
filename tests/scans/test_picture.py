"""Radiographs in picture files."""

from __future__ import annotations

import numpy as np
import pytest
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


def test_damage_and_pages_are_refused(tmp_path):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(BadScan, match=r"a\.png cannot be read as a radiograph"):
        read_scan(path)
    path.write_text("no picture")
    with pytest.raises(BadScan, match="no picture"):
        read_scan(path)
    pages = [Image.fromarray(noise)] * 3
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=pages[1:])
    assert "3 pages" in find_scans(tmp_path / "b.tif")[0].error


def test_real_radiographs(real_data):
    folder = real_data / "radiographs" / "tuberculosis" / "images"
    entries = find_scans(folder)
    assert len(entries) == 101
    scan = read_scan(entries[0])
    np.testing.assert_array_equal(scan.voxels[0], Image.open(entries[0].path))
