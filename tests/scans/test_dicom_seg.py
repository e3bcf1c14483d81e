"""DICOM segmentations: voxel-identical round trips and correct references."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid, to_canonical_axes
from scanlearn.scans.labels.read_labels import (
    read_label_map,
    read_label_names,
    read_named_labels,
)
from scanlearn.scans.labels.write_dicom_seg import SERIES_DESCRIPTION, write_dicom_seg
from scanlearn.scans.turns import Turn, find_turn


def series_grid(shape, spacing, angles=(0.0, 0.0, 0.0), tilt=0.0, reverse=False):
    """Return the grid (slices, rows, columns) of a series, tilted like a gantry."""
    directions = Rotation.from_euler("xyz", angles).as_matrix()
    columns, rows, normal = directions.T
    step = normal * spacing[0] * (-1 if reverse else 1) + rows * tilt
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([step, rows * spacing[1], columns * spacing[2]])
    affine[:3, 3] = (-31.5, 20.25, -103.125)
    return Grid(shape, affine)


def write_series(folder, grid, *, frames_of_reference=1, seed=0):
    """Write empty CT slices on a grid, in shuffled file order."""
    folder.mkdir(exist_ok=True)
    study, series = generate_uid(), generate_uid()
    references = [generate_uid() for _ in range(frames_of_reference)]
    names = np.random.default_rng(seed).permutation(grid.shape[0])
    files = []
    for k in range(grid.shape[0]):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = generate_uid()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.Modality = "CT"
        ds.PatientID = "P1"
        ds.StudyInstanceUID = study
        ds.SeriesInstanceUID = series
        ds.FrameOfReferenceUID = references[k % frames_of_reference]
        ds.Rows, ds.Columns = grid.shape[1:]
        orientation = np.concatenate([grid.directions[:, 2], grid.directions[:, 1]])
        ds.ImageOrientationPatient = [f"{x:.12f}"[:16] for x in orientation]
        position = grid.to_patient((k, 0, 0))
        ds.ImagePositionPatient = [f"{x:.10f}"[:16] for x in position]
        ds.PixelSpacing = [f"{x:.10f}"[:16] for x in grid.spacing_mm[1:]]
        ds.SamplesPerPixel = 1
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit = 15
        ds.PixelRepresentation = 1
        ds.PixelData = bytes(2 * ds.Rows * ds.Columns)
        file = folder / f"{names[k]:03d}.dcm"
        ds.save_as(file, enforce_file_format=True)
        files.append(file)
    return sorted(files)


def random_labels(shape, seed=0, highest=3):
    return np.random.default_rng(seed).integers(0, highest + 1, shape).astype(np.uint8)


turns = st.builds(
    Turn,
    st.permutations(range(3)).map(tuple),
    st.sets(st.integers(0, 2)).map(lambda s: tuple(sorted(s))),
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    # highdicom packs frames of fewer than 8 pixels wrongly; no scanner makes those.
    shape=st.tuples(st.integers(2, 5), st.integers(3, 9), st.integers(3, 9)),
    spacing=st.tuples(*[st.floats(0.5, 4)] * 3),
    angles=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    tilt=st.sampled_from([0.0, 0.4, -0.7]),
    reverse=st.booleans(),
    turn=turns,
)
def test_round_trip_is_voxel_identical(
    tmp_path_factory, shape, spacing, angles, tilt, reverse, turn
):
    folder = tmp_path_factory.mktemp("seg")
    source = series_grid(shape, spacing, angles, tilt, reverse)
    files = write_series(folder / "ct", source)
    grid = turn.grid(source)
    labels = random_labels(grid.shape)
    out = folder / "labels.dcm"
    write_dicom_seg(out, labels, grid, source_files=files, names={1: "lung"})
    back, _ = read_label_map(out, like=grid)
    np.testing.assert_array_equal(back, labels)
    alone, own = read_label_map(out)
    again = find_turn(own, grid)
    assert again is not None
    np.testing.assert_array_equal(again.voxels(alone), labels)


def test_frames_refer_to_the_slice_they_lie_on(tmp_path):
    grid = series_grid((6, 8, 7), (2.5, 0.7, 0.7), tilt=0.3)
    files = write_series(tmp_path / "ct", grid)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[2:5, 3, 3] = 1
    labels[4, 1, 1] = 2
    voxels, canonical = to_canonical_axes(labels, grid)
    out = tmp_path / "labels.dcm"
    write_dicom_seg(
        out, voxels, canonical, source_files=files, names={1: "right lung", 2: "nodule"}
    )
    seg = pydicom.dcmread(out)
    slices = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, files)}
    one = next(iter(slices.values()))
    assert seg.StudyInstanceUID == one.StudyInstanceUID
    assert seg.FrameOfReferenceUID == one.FrameOfReferenceUID
    assert seg.SeriesDescription == SERIES_DESCRIPTION
    assert "Not for clinical use" in SERIES_DESCRIPTION
    referenced = seg.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == one.SeriesInstanceUID
    assert len(referenced.ReferencedInstanceSequence) == len(files)
    assert len(seg.PerFrameFunctionalGroupsSequence) == 4
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        own = slices[source.ReferencedSOPInstanceUID].ImagePositionPatient
        np.testing.assert_allclose(position, own, atol=1e-6)
    assert read_label_names(out) == {1: "right lung", 2: "nodule"}


def test_an_independent_reader_sees_the_same_points(tmp_path):
    import highdicom as hd

    grid = series_grid((5, 8, 7), (2.0, 0.7, 0.8), angles=(0.2, -0.1, 0.3))
    files = write_series(tmp_path / "ct", grid)
    labels = random_labels(grid.shape)
    out = tmp_path / "labels.dcm"
    write_dicom_seg(out, labels, grid, source_files=files, names={})
    volume = hd.seg.segread(out).get_volume(combine_segments=True)
    index = np.argwhere(volume.array > 0)
    points = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    ours = np.round(grid.to_index(points)).astype(int)
    np.testing.assert_allclose(grid.to_patient(ours), points, atol=1e-6)
    np.testing.assert_array_equal(labels[tuple(ours.T)], volume.array[tuple(index.T)])
    assert (labels > 0).sum() == len(index)


def test_slices_with_different_frames_of_reference_are_one_series(tmp_path):
    grid = series_grid((4, 6, 6), (2.0, 1.0, 1.0))
    files = write_series(tmp_path / "ct", grid, frames_of_reference=4)
    labels = random_labels(grid.shape)
    out = tmp_path / "labels.dcm"
    write_dicom_seg(out, labels, grid, source_files=files, names={})
    np.testing.assert_array_equal(read_label_map(out, like=grid)[0], labels)


def test_label_numbers_with_gaps_are_kept(tmp_path):
    grid = series_grid((3, 6, 6), (2.0, 1.0, 1.0))
    files = write_series(tmp_path / "ct", grid)
    labels = np.where(random_labels(grid.shape) == 2, 7, 0).astype(np.int64)
    out = tmp_path / "labels.dcm"
    write_dicom_seg(out, labels, grid, source_files=files, names={7: "heart"})
    np.testing.assert_array_equal(read_label_map(out, like=grid)[0], labels)
    assert read_label_names(out)[7] == "heart"


def test_a_grid_unlike_the_series_is_stored_on_its_own_planes(tmp_path):
    source = series_grid((4, 6, 6), (2.0, 1.0, 1.0))
    files = write_series(tmp_path / "ct", source)
    grid = series_grid((7, 5, 9), (1.0, 1.25, 1.5), angles=(0.1, 0.2, 0.3))
    labels = random_labels(grid.shape)
    out = tmp_path / "labels.dcm"
    write_dicom_seg(out, labels, grid, source_files=files, names={})
    np.testing.assert_array_equal(read_label_map(out, like=grid)[0], labels)
    with pytest.raises(BadLabels, match="another grid than its scan"):
        read_label_map(out, like=source)


def test_empty_planes_need_no_frames(tmp_path):
    grid = series_grid((9, 6, 6), (2.0, 1.0, 1.0), tilt=0.2)
    files = write_series(tmp_path / "ct", grid)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[2, 1, 1] = labels[6, 3, 3] = 1
    out = tmp_path / "labels.dcm"
    write_dicom_seg(out, labels, grid, source_files=files, names={})
    assert len(pydicom.dcmread(out).PerFrameFunctionalGroupsSequence) == 2
    np.testing.assert_array_equal(read_label_map(out, like=grid)[0], labels)


def test_no_class_at_all_is_refused(tmp_path):
    grid = series_grid((3, 6, 6), (2.0, 1.0, 1.0))
    files = write_series(tmp_path / "ct", grid)
    with pytest.raises(BadLabels, match="no class"):
        write_dicom_seg(
            tmp_path / "l.dcm",
            np.zeros(grid.shape, np.uint8),
            grid,
            source_files=files,
            names={},
        )


def test_sources_of_two_series_are_refused(tmp_path):
    grid = series_grid((3, 6, 6), (2.0, 1.0, 1.0))
    files = write_series(tmp_path / "a", grid) + write_series(tmp_path / "b", grid)
    labels = random_labels(grid.shape)
    with pytest.raises(BadLabels, match="2 series"):
        write_dicom_seg(tmp_path / "l.dcm", labels, grid, source_files=files, names={})
    assert not (tmp_path / "l.dcm").exists()


@pytest.mark.parametrize(
    "name", ["philips_enhanced_anatomical_001", "siemens_multiframe_anatomical_001"]
)
def test_a_multi_frame_source_is_referred_to_frame_by_frame(real_data, tmp_path, name):
    from scanlearn.scans.dicom.planes import planes_of

    (file,) = (real_data / "awkward" / "dicom" / name).glob("*.dcm")
    planes = planes_of([pydicom.dcmread(file, stop_before_pixels=True)])
    grid = planes.grid()
    assert grid is not None
    labels = random_labels(grid.shape)
    out = tmp_path / "labels.dcm"
    write_dicom_seg(out, labels, grid, source_files=[file], names={})
    np.testing.assert_array_equal(read_label_map(out, like=grid)[0], labels)
    seg = pydicom.dcmread(out)
    numbers = planes.plane_numbers(grid)
    if len(set(numbers)) == len(numbers):
        for frame in seg.PerFrameFunctionalGroupsSequence:
            source = frame.DerivationImageSequence[0].SourceImageSequence[0]
            k = int(source.ReferencedFrameNumber) - 1
            position = frame.PlanePositionSequence[0].ImagePositionPatient
            np.testing.assert_allclose(planes.positions[k], position, atol=1e-6)


def test_a_truncated_file_is_refused(tmp_path):
    grid = series_grid((3, 16, 16), (2.0, 1.0, 1.0))
    files = write_series(tmp_path / "ct", grid)
    out = tmp_path / "labels.dcm"
    labels = random_labels(grid.shape)
    write_dicom_seg(out, labels, grid, source_files=files, names={})
    out.write_bytes(out.read_bytes()[:-200])
    with pytest.raises(BadLabels, match=r"labels\.dcm"):
        read_label_map(out, like=grid)


@pytest.mark.parametrize("kind", ["LABELMAP", "FRACTIONAL"])
def test_label_maps_of_others_are_read_and_fractions_refused(tmp_path, kind):
    import highdicom as hd

    from scanlearn.scans.labels.segments import describe_segments, read_source_headers

    grid = series_grid((4, 8, 7), (2.0, 0.7, 0.8))
    sources = read_source_headers(write_series(tmp_path / "ct", grid))
    sources.sort(key=lambda ds: ds.ImagePositionPatient[2])
    labels = random_labels(grid.shape)

    def write(pixels):
        segmentation = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=pixels,
            segmentation_type=kind,
            segment_descriptions=describe_segments(
                {}, 1 if kind == "FRACTIONAL" else 3
            ),
            series_instance_uid=generate_uid(),
            series_number=1,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="other",
            manufacturer_model_name="other",
            software_versions="1",
            device_serial_number="1",
        )
        segmentation.save_as(tmp_path / "labels.dcm")

    if kind == "LABELMAP":
        write(labels)
        back, _ = read_label_map(tmp_path / "labels.dcm", like=grid)
        np.testing.assert_array_equal(back, labels)
        return
    write((labels > 0).astype(np.float32) * 0.7)
    with pytest.raises(BadLabels, match="fractions"):
        read_label_map(tmp_path / "labels.dcm", like=grid)
    write((labels > 0).astype(np.float32))
    found = read_named_labels(tmp_path / "labels.dcm", like=grid)
    np.testing.assert_array_equal(found.labels, labels > 0)
    assert "fractions" in found.notes[0].text


def test_the_real_series_with_a_frame_of_reference_per_slice(real_data, tmp_path):
    from scanlearn.scans.read import read_scan

    folder = real_data / "chest_ct" / "LIDC-IDRI-0001"
    scan = read_scan(folder)
    labels = (np.asarray(scan.voxels) < -500).astype(np.uint8)
    voxels, grid = to_canonical_axes(labels, scan.grid)
    files = sorted(folder.glob("*.dcm"))
    out = tmp_path / "lung.dcm"
    write_dicom_seg(out, voxels, grid, source_files=files, names={1: "lung"})
    np.testing.assert_array_equal(read_label_map(out, like=scan.grid)[0], labels)
