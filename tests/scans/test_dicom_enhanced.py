"""Enhanced multi-frame CT, written here."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EnhancedMRImageStorage
from scipy.spatial.transform import Rotation

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


def test_frames_are_ordered_and_scaled(tmp_path, save_slice, enhanced, stored_volume):
    path = save_slice(enhanced, tmp_path / "multi")
    [entry] = find_scans(tmp_path)
    assert entry.shape == (6, 9, 11)
    for scan in (read_scan(path), read_scan(entry)):
        expected = stored_volume[::-1].astype(int) - 1000
        np.testing.assert_array_equal(scan.voxels, expected)
        assert scan.acquisition.units == "HU"
        np.testing.assert_allclose(scan.grid.spacing_mm, (2.5, 0.8, 0.7))
        np.testing.assert_allclose(scan.grid.to_patient((5, 0, 0)), (-30, -40, 112.5))


def test_time_points_of_one_file_become_scans(
    tmp_path, save_slice, item, enhanced, stored_volume, even_positions
):
    for number, frame in enumerate(enhanced.PerFrameFunctionalGroupsSequence):
        frame.FrameContentSequence = item(TemporalPositionIndex=number // 3 + 1)
        place = [float(p) for p in even_positions[number % 3]]
        frame.PlanePositionSequence[0].ImagePositionPatient = place
    path = save_slice(enhanced, tmp_path / "multi.dcm")
    first, second = find_scans(tmp_path)
    expected = stored_volume.astype(int) - 1000
    np.testing.assert_array_equal(read_scan(first).voxels, expected[:3])
    np.testing.assert_array_equal(read_scan(second).voxels, expected[3:])
    with pytest.raises(BadScan, match="2 scans"):
        read_scan(path)


few = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
#: Functional group, attribute and how its value of a volume is made.
PHASES = {
    "time": ("FrameContentSequence", "TemporalPositionIndex", lambda v: v + 1),
    "echo": ("MREchoSequence", "EffectiveEchoTime", lambda v: 2.3 * (v + 1)),
    "kind": ("MRImageFrameTypeSequence", "ComplexImageComponent", "MPRI".__getitem__),
    "b": ("MRDiffusionSequence", "DiffusionBValue", lambda v: 500.0 * v),
    "delay": (
        "CardiacSynchronizationSequence",
        "NominalCardiacTriggerDelayTime",
        lambda v: 40.0 * v,
    ),
    "time offset": (
        "TemporalPositionSequence",
        "TemporalPositionTimeOffset",
        lambda v: 3.5 * v,
    ),
}


@pytest.fixture
def write_4d(save_slice, enhanced, item):
    """Return a function that writes frames of several volumes as one enhanced MR."""
    enhanced.SOPClassUID = EnhancedMRImageStorage
    enhanced.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    enhanced.Modality = "MR"
    enhanced.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian

    def write(path, places, order, groups_of):
        """``order`` lists (volume, place) of the frames as they are stored."""
        frames, values = [], []
        for volume, k in order:
            frame = item(
                PlanePositionSequence=item(ImagePositionPatient=[0, 0, 2.0 * k])
            )[0]
            for group, attributes in groups_of(volume, k).items():
                setattr(frame, group, item(**attributes))
            frames.append(frame)
            values.append(np.full((9, 11), 100 * volume + k, np.uint16))
        enhanced.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
        enhanced.NumberOfFrames = len(frames)
        enhanced.PixelData = np.stack(values).tobytes()
        enhanced.SOPInstanceUID = pydicom.uid.generate_uid()
        return save_slice(enhanced, path)

    return write


def check_volumes(entries, volumes: int, places: int) -> None:
    """Check that entries are whole volumes, in order, wherever they are read from."""
    assert [entry.error for entry in entries] == [""] * volumes
    for volume, entry in enumerate(entries):
        expected = 100 * volume + np.arange(places) - 1000
        by_name = read_scan(entry.path, series=entry.series_uid)
        for scan in (read_scan(entry), by_name):
            np.testing.assert_array_equal(scan.voxels[:, 4, 5], expected)


@few
@given(
    name=st.sampled_from([*PHASES, "dimension", "frame order"]),
    volumes=st.integers(2, 4),
    places=st.integers(2, 5),
    by_place=st.booleans(),
    data=st.data(),
)
def test_4d_opens_as_volumes(tmp_path, write_4d, name, volumes, places, by_place, data):
    def groups_of(volume, k):
        if name == "frame order":
            return {}
        if name == "dimension":
            index = {"DimensionIndexValues": [1, k + 1, volume + 1]}
            return {"FrameContentSequence": index}
        group, attribute, value = PHASES[name]
        return {group: {attribute: value(volume)}}

    order = list(itertools.product(range(volumes), range(places)))
    if by_place:
        order.sort(key=lambda one: one[::-1])
    if name != "frame order":
        order = data.draw(st.permutations(order))
    path = write_4d(tmp_path / "4d.dcm", places, order, groups_of)
    entries = find_scans(path)
    if name == "kind":  # no order of its own: the letters'
        entries = sorted(
            entries, key=lambda e: "MPRI".index(e.acquisition.description[-2])
        )
    check_volumes(entries, volumes, places)


def test_echoes_and_times_of_two_files(tmp_path, write_4d):
    """Two times, a file each, of two echoes: four volumes, each read by its name."""
    for time in range(2):
        order = [(2 * time + echo, k) for k in range(4) for echo in range(2)]

        def groups_of(volume, _k):
            return {"MREchoSequence": {"EffectiveEchoTime": 2.5 + volume % 2}}

        write_4d(tmp_path / f"{time}.dcm", 4, order, groups_of)
    entries = find_scans(tmp_path)
    assert len({entry.series_uid for entry in entries}) == 4
    seen = []
    for entry in entries:
        scan = read_scan(entry)
        again = read_scan(entry.path, series=entry.series_uid)
        np.testing.assert_array_equal(scan.voxels, again.voxels)
        seen.append(int(scan.voxels[0, 0, 0] + 1000) // 100)
        ramp = np.diff(scan.voxels[:, 0, 0].astype(int))
        assert (ramp == 1).all()
    assert sorted(seen) == [0, 1, 2, 3]


def test_phases_in_folders_are_read_by_their_names(tmp_path, write_4d):
    path = write_4d(
        tmp_path / "a" / "1.dcm", 3, [(0, k) for k in range(3)], lambda *_: {}
    )
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    dataset = pydicom.dcmread(path)
    dataset.SOPInstanceUID = "1.2.3.99"
    dataset.PixelData = (dataset.pixel_array + np.uint16(100)).tobytes()
    dataset.save_as(tmp_path / "b" / "1.dcm")
    check_volumes(find_scans(tmp_path), 2, 3)


def test_decimal_commas_in_functional_groups(tmp_path, save_slice, enhanced):
    path = save_slice(enhanced, tmp_path / "multi.dcm")
    expected = read_scan(path)
    whole = path.read_bytes()
    for dotted in (b"100.0", b"-30.0", b"0.8\\0.7"):
        assert dotted in whole
        whole = whole.replace(dotted, dotted.replace(b".", b","))
    path.write_bytes(whole)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.voxels, expected.voxels)
    assert scan.grid.matches(expected.grid)
    path.write_bytes(whole.replace(b"100,0", b"100;0"))
    with pytest.raises(BadScan, match="no position that can be read"):
        read_scan(path)


def test_frames_without_positions_are_refused(tmp_path, save_slice, enhanced):
    del enhanced.PerFrameFunctionalGroupsSequence
    path = save_slice(enhanced, tmp_path / "cine.dcm")
    with pytest.raises(BadScan, match="several frames without positions"):
        read_scan(path)


@pytest.fixture
def enhanced_mr(enhanced, item):
    """Return an enhanced MR, oblique, with another scale in every frame."""
    turn = Rotation.from_euler("xyz", (0.3, -0.2, 0.4)).as_matrix()
    enhanced.SOPClassUID = EnhancedMRImageStorage
    enhanced.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    enhanced.Modality = "MR"
    shared = enhanced.SharedFunctionalGroupsSequence[0]
    del shared.PixelValueTransformationSequence
    directions = [f"{x:.10f}" for x in (*turn[:, 0], *turn[:, 1])]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = directions
    for k, frame in enumerate(enhanced.PerFrameFunctionalGroupsSequence):
        place = [f"{x:.6f}" for x in (5, 6, 7) + turn[:, 2] * 3.0 * (5 - k)]
        frame.PlanePositionSequence[0].ImagePositionPatient = place
        frame.PixelValueTransformationSequence = item(
            RescaleSlope=0.5 + k, RescaleIntercept=-k, RescaleType="US"
        )
    return enhanced


@pytest.mark.parametrize("kind", ["", "jpeg lossless", "jpeg 2000", "jpeg-ls", "rle"])
def test_an_enhanced_mr_agrees_frame_by_frame(
    tmp_path, save_slice, compress, enhanced_mr, stored_volume, kind
):
    path = save_slice(enhanced_mr, tmp_path / "multi")
    if kind:
        compress(path, kind)
    scan = read_scan(path)
    assert scan.acquisition.modality == "MR"
    assert scan.acquisition.units == "arbitrary"
    header = pydicom.dcmread(path)
    shared = header.SharedFunctionalGroupsSequence[0]
    cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    along_row, along_column = np.reshape(np.array(cosines, float), (2, 3))
    for k, frame in enumerate(header.PerFrameFunctionalGroupsSequence):
        expected = stored_volume[k] * (0.5 + k) - k
        np.testing.assert_array_equal(scan.voxels[5 - k], expected)
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        for j, i in [(0, 0), (8, 0), (0, 10), (8, 10)]:
            point = place + along_column * 0.8 * j + along_row * 0.7 * i
            found = scan.grid.to_patient((5 - k, j, i))
            np.testing.assert_allclose(found, point, atol=1e-3)


@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", "rle"])
def test_a_compressed_enhanced_ct_agrees_with_simpleitk(
    tmp_path, save_slice, compress, enhanced, stored_volume, kind
):
    path = compress(save_slice(enhanced, tmp_path / "multi.dcm"), kind)
    stored = SimpleITK.ReadImage(str(path))
    expected = SimpleITK.GetArrayFromImage(stored)[::-1]
    np.testing.assert_array_equal(read_scan(path).voxels, expected)


def test_a_missing_frame_is_named_and_interpolated(
    tmp_path, save_slice, enhanced, stored_volume
):
    frames = list(enhanced.PerFrameFunctionalGroupsSequence)
    del frames[2]
    enhanced.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    enhanced.NumberOfFrames = 5
    keep = [0, 1, 3, 4, 5]
    enhanced.PixelData = stored_volume[keep].tobytes() + b"\0"
    path = save_slice(enhanced, tmp_path / "multi.dcm")
    with pytest.raises(BadScan, match=r"1 slice is missing: 105\.00 to 110\.00 mm"):
        read_scan(path)
    scan = read_scan(path, on_uneven="resample")
    expected = stored_volume[::-1].astype(int) - 1000
    known = [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(scan.voxels[known], expected[known])


def test_a_truncated_enhanced_file_is_named(tmp_path, save_slice, enhanced):
    path = save_slice(enhanced, tmp_path / "multi.dcm")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadScan, match=r"multi\.dcm is truncated"):
        read_scan(path)


def test_twelve_bits_of_jpeg_extended_in_frames(
    tmp_path, save_slice, compress, enhanced, stored_volume
):
    smooth = np.sort(stored_volume.ravel()).reshape(stored_volume.shape)
    enhanced.PixelData, enhanced.BitsStored, enhanced.HighBit = smooth.tobytes(), 12, 11
    path = compress(save_slice(enhanced, tmp_path / "multi.dcm"), "jpeg extended")
    found = read_scan(path).voxels[::-1]
    expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found + 1000.0 - smooth).max() < 40
