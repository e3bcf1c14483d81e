"""Label maps in and out: voxel-identical round trips, and what is refused."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scanlearn.errors import BadLabels, BadScan
from scanlearn.scans.files import write_nifti as write_nifti_module
from scanlearn.scans.files.write_nifti import write_nifti, write_nifti_channels
from scanlearn.scans.geometry import Grid, ras_affine
from scanlearn.scans.labels.read_labels import read_label_map, read_label_names
from scanlearn.scans.turns import Turn, find_turn

turns = st.builds(
    Turn,
    st.permutations(range(3)).map(tuple),
    st.sets(st.integers(0, 2)).map(lambda s: tuple(sorted(s))),
)


def make_grid(shape, spacing, angles, shear, origin):
    tilt = np.eye(3)
    tilt[1, 0] = shear
    affine = np.eye(4)
    affine[:3, :3] = (
        Rotation.from_euler("xyz", angles).as_matrix() @ tilt @ np.diag(spacing)
    )
    affine[:3, 3] = origin
    return Grid(shape, affine)


grids = st.builds(
    make_grid,
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.floats(0.3, 6)] * 3),
    st.one_of(st.just((0.0, 0.0, 0.0)), st.tuples(*[st.floats(-0.6, 0.6)] * 3)),
    st.sampled_from([0.0, 0.0, 0.3, -0.2]),
    st.tuples(*[st.floats(-400, 400)] * 3),
)


def test_a_long_side_is_written_as_nifti_2(tmp_path):
    grid = Grid((1, 2, 40_000), np.eye(4))
    labels = np.zeros(grid.shape, np.uint8)
    labels[0, 1, 39_999] = 3
    write_nifti(tmp_path / "a.nii.gz", labels, grid)
    assert isinstance(nib.load(tmp_path / "a.nii.gz"), nib.Nifti2Image)
    again, found = read_label_map(tmp_path / "a.nii.gz")
    assert np.array_equal(again, labels)
    assert found.matches(grid)


def random_labels(shape, highest=5, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, highest + 1, shape).astype(dtype)


PLAIN = make_grid((4, 6, 5), (2.5, 0.7, 0.8), (0, 0, 0), 0.0, (-10, 20, 30))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(grid=grids, turn=turns, suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_round_trip_is_voxel_identical(tmp_path_factory, grid, turn, suffix):
    path = tmp_path_factory.mktemp("labels") / f"labels{suffix}"
    grid = turn.grid(grid)
    labels = random_labels(grid.shape)
    write_nifti(path, labels, grid)
    back, own = read_label_map(path)
    assert own.matches(grid)
    np.testing.assert_array_equal(back, labels)
    np.testing.assert_array_equal(read_label_map(path, like=grid)[0], labels)
    image = nib.load(path)
    np.testing.assert_allclose(image.affine, ras_affine(grid), atol=1e-3)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert int(image.header["sform_code"]) == 1


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(grid=grids, turn=turns)
def test_a_mask_in_another_axis_order_is_turned(tmp_path_factory, grid, turn):
    labels = random_labels(grid.shape)
    path = tmp_path_factory.mktemp("labels") / "labels.nii"
    write_nifti(path, turn.voxels(labels), turn.grid(grid))
    back, own = read_label_map(path, like=grid)
    assert own is grid
    np.testing.assert_array_equal(back, labels)


@given(grid=grids, turn=turns)
@settings(max_examples=30, deadline=None)
def test_a_turn_keeps_every_voxel_in_place(grid, turn):
    index = np.stack(np.indices(grid.shape), axis=-1)
    points = grid.to_patient(index)
    turned = np.stack([turn.voxels(points[..., k]) for k in range(3)], axis=-1)
    there = turn.grid(grid)
    own = there.to_patient(np.stack(np.indices(there.shape), axis=-1))
    np.testing.assert_allclose(turned, own, atol=1e-9)
    back = find_turn(there, grid)
    assert back is not None
    assert back.grid(there).matches(grid)


def test_itk_sees_the_same_points(tmp_path):
    grid = make_grid((4, 6, 5), (2.5, 0.7, 0.8), (0.2, -0.3, 0.1), 0.0, (-10, 20, 30))
    labels = random_labels(grid.shape)
    write_nifti(tmp_path / "labels.nii.gz", labels, grid)
    image = SimpleITK.ReadImage(str(tmp_path / "labels.nii.gz"))
    for index in ((0, 0, 0), (3, 5, 4), (1, 2, 3)):
        point = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(point, grid.to_patient(index), atol=1e-3)
        assert image[index] == labels[index]


def test_a_sheared_grid_has_no_quaternion(tmp_path):
    grid = make_grid((4, 6, 5), (2.5, 0.7, 0.8), (0, 0, 0), 0.3, (0, 0, 0))
    write_nifti(tmp_path / "a.nii", random_labels(grid.shape), grid)
    header = nib.load(tmp_path / "a.nii").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)
    np.testing.assert_allclose(header.get_zooms(), grid.spacing_mm, rtol=1e-5)
    write_nifti(tmp_path / "b.nii", random_labels(PLAIN.shape), PLAIN)
    header = nib.load(tmp_path / "b.nii").header
    assert int(header["qform_code"]) == 1
    np.testing.assert_allclose(header.get_qform(), ras_affine(PLAIN), atol=1e-4)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32])
def test_integer_types_are_kept(tmp_path, dtype):
    labels = random_labels(PLAIN.shape, highest=100, dtype=dtype)
    write_nifti(tmp_path / "a.nii", labels, PLAIN)
    stored = np.asanyarray(nib.load(tmp_path / "a.nii").dataobj)
    assert stored.dtype == dtype
    np.testing.assert_array_equal(stored, labels)


def test_wide_labels_are_read_as_uint16(tmp_path):
    labels = random_labels(PLAIN.shape, highest=1000, dtype=np.int64)
    write_nifti(tmp_path / "a.nii", labels, PLAIN)
    back, _ = read_label_map(tmp_path / "a.nii")
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, labels)


def test_channels_are_the_fourth_axis(tmp_path):
    channels = np.random.default_rng(0).random((3, *PLAIN.shape)).astype(np.float32)
    write_nifti_channels(tmp_path / "p.nii.gz", channels, PLAIN)
    image = nib.load(tmp_path / "p.nii.gz")
    assert image.shape == (*PLAIN.shape, 3)
    np.testing.assert_array_equal(np.moveaxis(image.get_fdata(), -1, 0), channels)


def test_a_failed_read_back_leaves_nothing_and_keeps_the_old_file(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.nii"
    write_nifti(path, random_labels(PLAIN.shape), PLAIN)
    before = path.read_bytes()
    save = nib.save

    def faulty_disk(image, name):
        save(image, name)
        content = bytearray(name.read_bytes())
        content[-1] ^= 1
        name.write_bytes(content)

    monkeypatch.setattr(write_nifti_module.nib, "save", faulty_disk)
    with pytest.raises(BadScan, match="differ when it is read again"):
        write_nifti(path, random_labels(PLAIN.shape, highest=9), PLAIN)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_wrong_suffix_and_too_large_integers_are_refused(tmp_path):
    with pytest.raises(BadScan, match="no NIfTI suffix"):
        write_nifti(tmp_path / "a.img", random_labels(PLAIN.shape), PLAIN)
    with pytest.raises(BadScan, match="32 bits"):
        write_nifti(tmp_path / "a.nii", np.full(PLAIN.shape, 2**40), PLAIN)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.full(PLAIN.shape, 0.5, np.float32), "values such as 0.5"),
        (np.full(PLAIN.shape, -2, np.int16), "negative values down to -2"),
        (np.full(PLAIN.shape, 70000, np.int32), "values up to 70000"),
    ],
)
def test_values_that_are_no_labels_are_refused(tmp_path, values, found):
    write_nifti(tmp_path / "image.nii", values, PLAIN)
    with pytest.raises(BadLabels, match=found) as error:
        read_label_map(tmp_path / "image.nii")
    assert "image.nii" in str(error.value)


def test_what_a_reader_would_repair_is_refused_in_labels(tmp_path):
    values = random_labels(PLAIN.shape).astype(np.float32)
    values[1, 2, 3] = np.nan
    write_nifti(tmp_path / "nan.nii", values, PLAIN)
    channels = np.zeros((2, *PLAIN.shape), np.uint8)
    write_nifti_channels(tmp_path / "4d.nii", channels, PLAIN)
    for name in ("nan.nii", "4d.nii"):
        with pytest.raises(BadLabels, match=f"{name} is no label map"):
            read_label_map(tmp_path / name)


def test_whole_numbers_stored_as_floats_are_labels(tmp_path):
    labels = random_labels(PLAIN.shape)
    write_nifti(tmp_path / "a.nii", labels.astype(np.float64), PLAIN)
    back, _ = read_label_map(tmp_path / "a.nii")
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, labels)


@pytest.mark.parametrize(
    "other",
    [
        make_grid((4, 6, 6), (2.5, 0.7, 0.8), (0, 0, 0), 0.0, (-10, 20, 30)),
        make_grid((4, 6, 5), (2.5, 0.7, 0.8), (0, 0, 0), 0.0, (-10, 21, 30)),
        make_grid((4, 6, 5), (2.5, 0.8, 0.8), (0, 0, 0), 0.0, (-10, 20, 30)),
        make_grid((4, 6, 5), (2.5, 0.7, 0.8), (0.1, 0, 0), 0.0, (-10, 20, 30)),
    ],
)
def test_another_grid_is_refused_with_both_described(tmp_path, other):
    write_nifti(tmp_path / "mask.nii", random_labels(PLAIN.shape), PLAIN)
    with pytest.raises(BadLabels, match="another grid") as error:
        read_label_map(tmp_path / "mask.nii", like=other)
    text = str(error.value)
    assert "mask.nii" in text
    assert "4 x 6 x 5 voxels of 2.5 x 0.7 x 0.8 mm" in text
    assert " x ".join(str(n) for n in other.shape) in error.value.expected
    assert error.value.next_step


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadLabels, match="does not exist"):
        read_label_map(tmp_path / "none.nii.gz")
    with pytest.raises(BadLabels, match="0 DICOM label files"):
        read_label_map(tmp_path)


def test_nrrd_segmentations_are_read_with_names(tmp_path):
    labels = random_labels((5, 6, 4), highest=2)
    image = SimpleITK.GetImageFromArray(labels)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10, 20, 30))
    for k, name in ((1, "lung"), (2, "nodule")):
        image.SetMetaData(f"Segment{k - 1}_LabelValue", str(k))
        image.SetMetaData(f"Segment{k - 1}_Name", name)
    SimpleITK.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    back, grid = read_label_map(tmp_path / "a.seg.nrrd")
    for index in np.argwhere(back > 0)[:20]:
        point = grid.to_patient(index)
        itk_index = image.TransformPhysicalPointToIndex(point.tolist())
        assert image[itk_index] == back[tuple(index)]
    assert read_label_names(tmp_path / "a.seg.nrrd") == {1: "lung", 2: "nodule"}


def test_the_real_nodule_mask_lies_on_its_series(real_data):
    from scanlearn.scans.read import read_scan

    folder = real_data / "chest_ct" / "LIDC-IDRI-0001"
    scan = read_scan(folder)
    mask = folder.with_name("LIDC-IDRI-0001_nodule_consensus.nii.gz")
    labels, grid = read_label_map(mask, like=scan.grid)
    assert grid is scan.grid
    # A solid nodule in the lung: soft tissue inside, mostly air around it.
    inside = scan.voxels[labels > 0]
    assert len(inside) > 500
    assert np.median(inside) > -200
