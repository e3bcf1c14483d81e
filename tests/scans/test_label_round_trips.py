"""Label maps through every format on any source grid: not one voxel may change."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scanlearn.prediction.exports import export_prediction
from scanlearn.prediction.summary import FoundClass, Prediction
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.find import find_scans
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.read_labels import read_label_map
from scanlearn.scans.read import read_scan
from scanlearn.scans.turns import Turn, find_turn

some = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
spacings = st.tuples(*[st.floats(0.4, 5.0)] * 3)
angles = st.one_of(st.just((0.0, 0.0, 0.0)), st.tuples(*[st.floats(-0.7, 0.7)] * 3))
tilts = st.sampled_from([0.0, 0.0, 0.35, -0.5])
turns = st.builds(
    Turn,
    st.permutations(range(3)).map(tuple),
    st.sets(st.integers(0, 2)).map(lambda s: tuple(sorted(s))),
)


def labels_on(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint8)


def prediction(folder, labels, grid, kind):
    file = folder / "scan_labels.nii.gz"
    write_nifti(file, labels, grid)
    return Prediction(
        run="lungs",
        task="segmentation",
        scan="scan",
        source=kind,
        grid=grid,
        folder=folder,
        labels=file,
        probabilities=None,
        uncertainty=None,
        maps=(),
        tables=(),
        classes=tuple(FoundClass(n, f"class {n}", 0.0) for n in (1, 2, 3)),
        lungs={},
        cautions=(),
        facts={},
    )


@some
@given(
    shape=st.tuples(st.integers(3, 6), st.integers(8, 11), st.integers(8, 11)),
    spacing=spacings,
    angles=angles,
    tilt=tilts,
    reverse=st.booleans(),
    seed=st.integers(0, 99),
)
def test_through_files_of_a_dicom_series(
    tmp_path_factory, write_series, shape, spacing, angles, tilt, reverse, seed
):
    folder = tmp_path_factory.mktemp("round")
    columns, rows, normal = Rotation.from_euler("xyz", angles).as_matrix().T
    step = normal * spacing[0] * (-1 if reverse else 1) + rows * tilt
    first = np.array([-31.5, 20.25, -103.125])
    positions = first + np.arange(shape[0])[:, None] * step
    rng = np.random.default_rng(seed)
    stored = rng.integers(0, 2000, shape).astype(np.uint16)
    write_series(
        folder / "ct",
        stored,
        positions,
        ImageOrientationPatient=[f"{x:.12f}"[:16] for x in (*columns, *rows)],
        PixelSpacing=[f"{spacing[1]:.10f}", f"{spacing[2]:.10f}"],
        FrameOfReferenceUID="1.2.3.9",
    )
    (entry,) = find_scans(folder / "ct")
    scan = read_scan(entry)
    labels = labels_on(scan.grid.shape, seed)
    predicted = prediction(folder, labels, scan.grid, entry.kind)
    seg, nifti = (
        export_prediction(predicted, entry, folder / "out", [name])[0]
        for name in ("dicom-seg", "nifti")
    )
    for file in (seg, nifti):
        back, _ = read_label_map(file, like=scan.grid)
        np.testing.assert_array_equal(back, labels)
        alone, own = read_label_map(file)
        turn = find_turn(own, scan.grid)
        assert turn is not None
        np.testing.assert_array_equal(turn.voxels(alone), labels)
    _check_frames(seg, folder / "ct", scan.grid, labels)


def _check_frames(seg, series, grid, labels):
    """Compare each frame with the slice it names, by that slice's own header."""
    slices = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, series.iterdir())}
    dataset = pydicom.dcmread(seg)
    referenced = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {one.ReferencedSOPInstanceUID for one in referenced} == set(slices)
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    for frame, about in zip(
        pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True
    ):
        named = about.DerivationImageSequence[0].SourceImageSequence[0]
        source = slices[named.ReferencedSOPInstanceUID]
        number = about.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        row, column = np.indices(frame.shape)
        orientation = np.array(source.ImageOrientationPatient, float)
        down, across = (float(mm) for mm in source.PixelSpacing)
        points = (
            np.array(source.ImagePositionPatient, float)
            + column[..., None] * across * orientation[:3]
            + row[..., None] * down * orientation[3:]
        )
        index = np.rint(grid.to_index(points)).astype(int)
        there = labels[tuple(np.moveaxis(index, -1, 0))] == number
        np.testing.assert_array_equal(frame.astype(bool), there)


@some
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    spacing=spacings,
    angles=angles,
    tilt=tilts,
    turn=turns,
    suffix=st.sampled_from([".nii", ".nii.gz"]),
)
def test_through_nifti(tmp_path_factory, shape, spacing, angles, tilt, turn, suffix):
    folder = tmp_path_factory.mktemp("round")
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix() * spacing
    affine[:3, 0] += tilt * affine[:3, 1]
    affine[:3, 3] = (-212.375, 148.0625, -900.5)
    grid = turn.grid(Grid(shape, affine))
    labels = labels_on(grid.shape)
    file = folder / f"labels{suffix}"
    write_nifti(file, labels, grid)
    back, _ = read_label_map(file, like=grid)
    np.testing.assert_array_equal(back, labels)
    image = nib.load(file)
    np.testing.assert_array_equal(np.asarray(image.dataobj), labels)
    corner = np.array(grid.shape) - 1
    ras = image.affine @ [*corner, 1]
    np.testing.assert_allclose(
        ras[:3] * (-1, -1, 1), grid.to_patient(corner), atol=1e-3
    )


def test_a_result_without_any_voxel_is_a_result(tmp_path, write_series, even_positions):
    stored = np.zeros((6, 9, 11), np.uint16)
    write_series(tmp_path / "ct", stored, even_positions, FrameOfReferenceUID="1.2.3.9")
    (entry,) = find_scans(tmp_path / "ct")
    grid = read_scan(entry).grid
    empty = np.zeros(grid.shape, np.uint8)
    predicted = prediction(tmp_path, empty, grid, entry.kind)
    (seg,) = export_prediction(predicted, entry, tmp_path / "out", ["dicom-seg"])
    back, _ = read_label_map(seg, like=grid)
    np.testing.assert_array_equal(back, empty)


def test_no_warning_names_the_patient(tmp_path, write_series, even_positions, recwarn):
    stored = np.zeros((6, 9, 11), np.uint16)
    tags = {"PatientName": "SECRET-0001", "FrameOfReferenceUID": "1.2.3.9"}
    write_series(tmp_path / "ct", stored, even_positions, **tags)
    (entry,) = find_scans(tmp_path / "ct")
    grid = read_scan(entry).grid
    predicted = prediction(tmp_path, labels_on(grid.shape), grid, entry.kind)
    (seg,) = export_prediction(predicted, entry, tmp_path / "out", ["dicom-seg"])
    assert pydicom.dcmread(seg).PatientName == "SECRET-0001"
    assert not [one for one in recwarn if "SECRET" in str(one.message)]


@pytest.mark.parametrize("gap", ["missing", "uneven"])
def test_slices_that_were_filled_in_are_kept(tmp_path, write_series, gap):
    """A series with gaps is predicted on even slices; these come back, too."""
    heights = {"missing": [0, 2, 4, 8, 10, 12], "uneven": [0, 2, 4, 7, 9, 11]}[gap]
    positions = np.array([[-30.0, -40.0, 100.0 + z] for z in heights])
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 2000, (6, 9, 11)).astype(np.uint16)
    write_series(tmp_path / "ct", stored, positions, FrameOfReferenceUID="1.2.3.9")
    (entry,) = find_scans(tmp_path / "ct")
    grid = read_scan(entry, on_uneven="resample").grid
    labels = labels_on(grid.shape)
    predicted = prediction(tmp_path, labels, grid, entry.kind)
    (seg,) = export_prediction(predicted, entry, tmp_path / "out", ["dicom-seg"])
    back, _ = read_label_map(seg, like=grid)
    np.testing.assert_array_equal(back, labels)
