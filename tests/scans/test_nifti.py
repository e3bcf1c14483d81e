"""NIfTI against nibabel: any affine, any type, any damage."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanlearn.errors import BadScan
from scanlearn.scans.files.nifti import read_nifti
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan

LPS = np.array([-1, -1, 1])


def save(path, voxels, affine=None, *, kind=nib.Nifti1Image, **header):
    image = kind(voxels, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def codes(scan) -> list[str]:
    return [problem.code for problem in scan.problems]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    matrix=st.lists(st.floats(-3, 3), min_size=9, max_size=9),
    origin=st.lists(st.floats(-500, 500), min_size=3, max_size=3),
    suffix=st.sampled_from([".nii", ".nii.gz", ".hdr"]),
    second=st.booleans(),
    axes=st.permutations(range(3)),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
)
def test_any_affine_agrees_with_nibabel(
    tmp_path, matrix, origin, suffix, second, axes, flips
):
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(matrix, (3, 3)) + np.diag([4, -4, 4])
    # Any axis order, either handedness.
    affine[:3, :3] = affine[:3, :3][:, axes] * flips
    affine[:3, 3] = origin
    if abs(np.linalg.det(affine[:3, :3])) < 0.5:
        return
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    kind = nib.Nifti2Image if second and suffix != ".hdr" else nib.Nifti1Image
    if suffix == ".hdr":
        kind = nib.Nifti1Pair
    path = save(tmp_path / f"scan{suffix}", voxels, affine, kind=kind)
    oracle = nib.load(path)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.voxels, np.asarray(oracle.dataobj))
    for index in [(0, 0, 0), (1, 2, 3), (1, 0, 2)]:
        point = nib.affines.apply_affine(oracle.affine, index) * LPS
        np.testing.assert_allclose(scan.grid.to_patient(index), point, atol=1e-3)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u2", "i4", "f4", ">f4"])
def test_types_are_kept(tmp_path, dtype):
    voxels = np.arange(24).reshape(2, 3, 4).astype(dtype)
    image = nib.Nifti1Image(voxels, np.eye(4), dtype=dtype)
    if dtype.startswith(">"):
        image = nib.Nifti1Image(
            voxels, np.eye(4), nib.Nifti1Header(endianness=">"), dtype=voxels.dtype
        )
    nib.save(image, tmp_path / "a.nii")
    scan = read_nifti(tmp_path / "a.nii")
    assert scan.voxels.dtype == np.dtype(dtype).newbyteorder("=")
    assert scan.voxels.dtype.isnative
    np.testing.assert_array_equal(scan.voxels, voxels)


def test_doubles_stay_double_only_where_that_matters(tmp_path):
    halves = np.arange(24.0).reshape(2, 3, 4) / 2
    assert read_nifti(save(tmp_path / "a.nii", halves)).voxels.dtype == np.float32
    thirds = read_nifti(save(tmp_path / "b.nii", halves / 3)).voxels
    assert thirds.dtype == np.float64
    np.testing.assert_array_equal(thirds, halves / 3)


@pytest.mark.parametrize(
    ("slope", "shift", "dtype"),
    [(1, -1024, "int16"), (2, 0, "int16"), (5000, 0, "int32"), (0.5, 3, "float32")],
)
def test_scaling(tmp_path, slope, shift, dtype):
    stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = nib.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(slope, shift)
    nib.save(image, tmp_path / "a.nii.gz")
    raw = nib.load(tmp_path / "a.nii.gz")
    scan = read_nifti(tmp_path / "a.nii.gz")
    assert scan.voxels.dtype == dtype
    np.testing.assert_array_equal(scan.voxels, raw.get_fdata().astype(dtype))


def test_of_a_4d_file_one_volume_is_read(tmp_path):
    voxels = np.arange(120, dtype=np.int16).reshape(2, 3, 4, 5)
    path = save(tmp_path / "a.nii.gz", voxels)
    [entry] = find_scans(path)
    assert entry.shape == (2, 3, 4, 5)
    scan = read_scan(entry)
    np.testing.assert_array_equal(scan.voxels, voxels[..., 0])
    assert codes(scan) == ["4d"]
    assert "0 to 4" in scan.problems[0].action
    scan = read_scan(path, volume=3)
    np.testing.assert_array_equal(scan.voxels, voxels[..., 3])
    assert codes(scan) == []
    with pytest.raises(BadScan, match=r"a\.nii\.gz has no volume 5.*0 to 4"):
        read_scan(path, volume=5)


def test_voxels_that_are_no_numbers(tmp_path):
    voxels = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    voxels[0, 0, :2] = np.nan, np.inf
    scan = read_scan(save(tmp_path / "a.nii", voxels))
    assert np.isfinite(scan.voxels).all()
    assert scan.voxels[0, 0, 0] == scan.voxels[0, 0, 1] == 2
    [problem] = scan.problems
    assert problem.severity == "warning"
    assert "a.nii" in problem.text
    assert "2 of 24 voxels" in problem.text
    assert problem.action
    voxels[:] = np.nan
    with pytest.raises(BadScan, match=r"b\.nii holds no finite voxel"):
        read_scan(save(tmp_path / "b.nii", voxels))


def test_forms_that_disagree_are_reported(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    image.set_qform(np.diag([1, 1, 2, 1]), code=1)
    image.set_sform(np.eye(4), code=2)
    nib.save(image, tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii")
    assert codes(scan) == ["forms_disagree"]
    assert "3.0 mm" in scan.problems[0].text
    np.testing.assert_array_equal(scan.grid.spacing_mm, (1, 1, 1))


def test_no_form_at_all_is_reported(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), None)
    nib.save(image, tmp_path / "a.nii")
    assert codes(read_scan(tmp_path / "a.nii")) == ["no_geometry"]


def test_metres_and_microns_become_millimetres(tmp_path):
    for unit, scale in (("meter", 1000), ("micron", 0.001)):
        image = nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.diag([2, 2, 2, 1]))
        image.header.set_xyzt_units(unit)
        nib.save(image, tmp_path / "a.nii")
        spacing = read_scan(tmp_path / "a.nii").grid.spacing_mm
        np.testing.assert_allclose(spacing, 2 * scale)


def test_a_flat_picture_has_one_slice(tmp_path):
    path = save(tmp_path / "a.nii", np.zeros((4, 5), np.int16))
    assert read_scan(path).voxels.shape == (4, 5, 1)


def test_hounsfield_units_are_told_from_air(tmp_path):
    voxels = np.full((4, 4, 4), 40, np.int16)
    voxels[0] = -1000
    scan = read_scan(save(tmp_path / "ct.nii", voxels))
    assert (scan.acquisition.modality, scan.acquisition.units) == ("CT", "HU")
    assert codes(scan) == ["units_guessed"]
    scan = read_scan(save(tmp_path / "mr.nii", np.abs(voxels)))
    assert scan.acquisition.units == "arbitrary"


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_truncated_file_is_named(tmp_path, suffix):
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 9999, (20, 20, 20)).astype(np.int16)
    path = save(tmp_path / f"a{suffix}", voxels)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadScan, match=r"a\.nii.*(cannot be read|is truncated).*Copy"):
        read_scan(path)


@pytest.mark.parametrize("content", [b"", b"not a scan at all", b"\x1f\x8b broken"])
def test_other_content_is_refused(tmp_path, content):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    with pytest.raises(BadScan, match=r"a\.nii\.gz cannot be read as NIfTI"):
        read_scan(path)
    assert "a.nii.gz" in find_scans(path)[0].error


def test_colours_are_refused(tmp_path):
    colour = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    path = save(tmp_path / "a.nii", np.zeros((2, 2, 2), colour))
    with pytest.raises(BadScan, match="colours or complex"):
        read_scan(path)


def test_hippocampus_agrees_with_nibabel(real_data):
    for path in sorted((real_data / "hippocampus" / "images").glob("*.nii*"))[:5]:
        oracle = nib.load(path)
        scan = read_scan(path)
        np.testing.assert_array_equal(scan.voxels, oracle.get_fdata())
        corner = np.array(scan.voxels.shape) - 1
        point = nib.affines.apply_affine(oracle.affine, corner) * LPS
        np.testing.assert_allclose(scan.grid.to_patient(corner), point, atol=1e-3)
