"""Arrays in ``.npy``: volumes, patches and stacks that are named."""

from __future__ import annotations

import numpy as np
import pytest

from scanlearn.errors import BadLabels, BadScan
from scanlearn.scans.files.array import read_array
from scanlearn.scans.find import find_scans
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.read_labels import read_label_map
from scanlearn.scans.read import read_scan


def ramp(shape, dtype=np.int16):
    return (np.arange(np.prod(shape)) % 997 - 500).reshape(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f2", "<f4", ">f8", "<i4"])
def test_a_volume_keeps_its_values_and_lies_head_back_left(tmp_path, dtype):
    values = ramp((3, 4, 5), dtype)
    np.save(tmp_path / "a.npy", np.asfortranarray(values))
    scan = read_array(tmp_path / "a.npy", spacing_mm=(3.0, 2.0, 1.5))
    np.testing.assert_array_equal(scan.voxels, values)
    assert scan.voxels.dtype.isnative
    assert scan.grid.is_canonical
    # One step along each axis: to the head (z), to the back (y), to the left (x).
    np.testing.assert_allclose(scan.grid.to_patient((1, 2, 4)), (6.0, 4.0, 3.0))
    assert (scan.acquisition.modality, scan.acquisition.units) == ("CT", "HU")


def test_a_patch_is_one_slice_in_units_that_its_values_tell(tmp_path):
    np.save(tmp_path / "hu.npy", ramp((31, 30)))
    np.save(tmp_path / "grey.npy", np.abs(ramp((31, 30))))
    hu, grey = read_scan(tmp_path / "hu.npy"), read_scan(tmp_path / "grey.npy")
    assert hu.voxels.shape == grey.voxels.shape == (1, 31, 30)
    assert (hu.acquisition.units, grey.acquisition.units) == ("HU", "arbitrary")
    assert hu.is_radiograph
    assert [problem.code for problem in hu.problems] == ["no_spacing"]


def test_an_entry_of_a_stack_is_chosen_by_its_number(tmp_path):
    stack = ramp((7, 31, 31))
    np.save(tmp_path / "stack.npy", stack)
    one = read_array(tmp_path / "stack.npy", volume=5)
    np.testing.assert_array_equal(one.voxels[0], stack[5])
    for wrong in (7, -1):
        with pytest.raises(BadScan, match="index from 0 to 6"):
            read_array(tmp_path / "stack.npy", volume=wrong)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3, 4, 5)),
        np.zeros(7),
        np.zeros((0, 4, 4)),
        np.array(3.0),
        np.zeros((2, 2, 2), complex),
        np.array([["a", "b"]]),
    ],
    ids=str,
)
def test_what_is_no_scan_is_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(BadScan, match=r"a\.npy is an array .*column index"):
        read_scan(tmp_path / "a.npy")


def test_damage_and_pickled_objects_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    with pytest.raises(BadScan, match="cannot be read as an array"):
        read_scan(path)
    np.save(path, ramp((3, 4, 5)))
    whole = path.read_bytes()
    for size in (0, 5, 60, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(BadScan, match="cannot be read as an array"):
            read_scan(path)
        [entry] = find_scans(path)
        assert "cannot be read" in entry.error


def test_arrays_count_only_where_they_are_named(tmp_path):
    np.save(tmp_path / "a.npy", ramp((3, 4, 5)))
    [entry] = find_scans(tmp_path / "a.npy")
    assert (entry.kind, entry.shape, entry.orientation) == ("array", (3, 4, 5), "SPL")
    with pytest.raises(BadScan, match="holds no scan"):
        find_scans(tmp_path)


def test_a_mask_lies_on_its_scan_of_the_same_shape(tmp_path):
    grid = Grid((3, 4, 5), np.diag([2.0, 3.0, 4.0, 1.0]))
    mask = ramp((3, 4, 5)) > 0
    np.save(tmp_path / "mask.npy", mask)
    labels, where = read_label_map(tmp_path / "mask.npy", like=grid)
    assert where is grid
    np.testing.assert_array_equal(labels, mask)
    other = Grid((3, 4, 6), grid.affine)
    with pytest.raises(BadLabels, match="another grid"):
        read_label_map(tmp_path / "mask.npy", like=other)


@pytest.mark.parametrize("field", [b"B6, 7", b"((6, 7", b"('6', 7", b"(6, -7"])
def test_headers_that_are_no_header_are_refused(tmp_path, field):
    np.save(tmp_path / "a.npy", np.zeros((6, 7, 8), np.int16))
    raw = (tmp_path / "a.npy").read_bytes().replace(b"(6, 7", field, 1)
    (tmp_path / "a.npy").write_bytes(raw)
    with pytest.raises(BadScan, match=r"a\.npy"):
        read_scan(tmp_path / "a.npy")
