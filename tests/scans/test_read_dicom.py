"""DICOM series written here, read back and compared with what was written."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import SimpleITK
from pydicom.uid import generate_uid

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


def codes(scan) -> list[str]:
    return [problem.code for problem in scan.problems]


def test_a_shuffled_series_is_ordered_along_its_normal(
    tmp_path, write_series, stored_volume, even_positions
):
    order = [3, 0, 5, 1, 4, 2]
    write_series(tmp_path, stored_volume[order], even_positions[order])
    scan = read_scan(tmp_path)
    assert scan.voxels.dtype == np.int16
    np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)
    assert scan.grid.orientation == "SPL"
    np.testing.assert_allclose(scan.grid.spacing_mm, (2.5, 0.8, 0.7))
    np.testing.assert_allclose(scan.grid.to_patient((0, 0, 0)), (-30, -40, 100))
    assert scan.acquisition.units == "HU"
    assert scan.acquisition.kernel == "B40f"
    assert codes(scan) == []


def test_an_ordinary_series_agrees_with_simpleitk(
    tmp_path, write_series, stored_volume, even_positions
):
    paths = write_series(tmp_path, stored_volume, even_positions[::-1])
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    oracle = reader.Execute()
    scan = read_scan(find_scans(tmp_path)[0])
    assert len(paths) == len(scan.voxels)
    for index in [(0, 0, 0), (5, 8, 10), (2, 3, 4)]:
        point = oracle.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(scan.grid.to_patient(index), point, atol=1e-6)
        assert scan.voxels[index] == oracle[index[::-1]]


def test_a_tilted_gantry_keeps_its_sheared_grid(
    tmp_path, write_series, stored_volume, even_positions
):
    even_positions[:, 1] += 0.8 * np.arange(6)
    write_series(tmp_path, stored_volume, even_positions)
    scan = read_scan(tmp_path)
    assert codes(scan) == ["tilt"]
    assert "17.7 degrees" in scan.problems[0].text
    for k, position in enumerate(even_positions):
        np.testing.assert_allclose(scan.grid.to_patient((k, 0, 0)), position)


def test_a_missing_slice_is_named_and_refused(
    tmp_path, write_series, stored_volume, even_positions
):
    keep = [0, 1, 2, 4, 5]
    write_series(tmp_path, stored_volume[keep], even_positions[keep])
    with pytest.raises(BadScan, match=r"1 slice is missing: 105\.00 to 110\.00 mm"):
        read_scan(tmp_path)
    entry = find_scans(tmp_path)[0]
    assert entry.error == ""
    assert entry.problems[0].code == "missing"
    assert "resample" in entry.problems[0].action


def test_a_missing_slice_is_interpolated_on_request(
    tmp_path, write_series, stored_volume, even_positions
):
    keep = [0, 1, 2, 4, 5]
    write_series(tmp_path, stored_volume[keep], even_positions[keep])
    scan = read_scan(tmp_path, on_uneven="resample")
    expected = stored_volume.astype(float) - 1024
    expected[3] = np.rint((expected[2] + expected[4]) / 2)
    np.testing.assert_array_equal(scan.voxels, expected)
    assert scan.voxels.dtype == np.int16
    assert [p.severity for p in scan.problems] == ["warning"]


def test_uneven_slices_are_refused_or_interpolated(
    tmp_path, write_series, stored_volume, even_positions
):
    even_positions[:, 2] = [0, 2, 4, 6, 9, 12]
    ramp = np.broadcast_to(
        (even_positions[:, 2] * 100).astype(np.uint16)[:, None, None],
        stored_volume.shape,
    )
    write_series(tmp_path, np.ascontiguousarray(ramp), even_positions)
    with pytest.raises(BadScan, match="uneven slice distances"):
        read_scan(tmp_path)
    scan = read_scan(tmp_path, on_uneven="resample")
    heights = scan.grid.to_patient([(k, 0, 0) for k in range(len(scan.voxels))])[:, 2]
    np.testing.assert_allclose(scan.voxels[:, 0, 0] + 1024, heights * 100, atol=0.5)


def test_tiny_jitter_of_positions_is_accepted(
    tmp_path, write_series, stored_volume, even_positions
):
    even_positions[:, 2] += [0, 0.01, -0.01, 0.02, 0, 0]
    write_series(tmp_path, stored_volume, even_positions)
    assert codes(read_scan(tmp_path)) == []


def test_one_place_twice_is_refused(
    tmp_path, write_series, stored_volume, even_positions
):
    even_positions[3] = even_positions[2]
    write_series(tmp_path, stored_volume, even_positions)
    with pytest.raises(BadScan, match=r"1 duplicate slice: .* at 105\.00 mm.*repair"):
        read_scan(tmp_path)
    [entry] = find_scans(tmp_path)
    assert len(entry.files) == 6
    assert "duplicate_slices" in [p.code for p in entry.problems]
    with pytest.raises(BadScan, match="1 duplicate slice"):
        read_scan(entry)


def test_of_slices_at_one_place_the_first_is_kept_on_request(
    tmp_path, write_series, stored_volume, even_positions
):
    shift = np.array([3, 1, 4, 0, 5, 2])
    write_series(tmp_path, stored_volume[shift], even_positions[shift])
    again = [1, 4, 4]
    write_series(
        tmp_path, stored_volume[again] + 1, even_positions[again], name="t{}.dcm"
    )
    [entry] = find_scans(tmp_path)
    assert entry.shape == stored_volume.shape
    for source in (entry, tmp_path):
        scan = read_scan(source, on_uneven="resample")
        np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)
        [problem] = scan.problems
        assert (problem.code, problem.severity) == ("duplicate_slices", "warning")
        assert "3 duplicate slices" in problem.text
        assert "at 102.50, 110.00 mm" in problem.text


def test_duplicate_and_missing_slices_are_both_named(
    tmp_path, write_series, stored_volume, even_positions
):
    keep = [0, 1, 1, 2, 4, 5]
    write_series(tmp_path, stored_volume[keep], even_positions[keep])
    with pytest.raises(BadScan, match=r"1 duplicate slice.*1 slice is missing"):
        read_scan(tmp_path)
    scan = read_scan(tmp_path, on_uneven="resample")
    assert scan.voxels.shape == stored_volume.shape
    assert codes(scan) == ["duplicate_slices", "missing"]
    known = [0, 1, 2, 4, 5]
    expected = stored_volume[known].astype(int) - 1024
    np.testing.assert_array_equal(scan.voxels[known], expected)


def test_copies_of_a_file_are_left_out(
    tmp_path, write_series, stored_volume, even_positions
):
    paths = write_series(tmp_path, stored_volume, even_positions)
    shutil.copy(paths[2], tmp_path / "copy of it")
    scan = read_scan(tmp_path)
    assert len(scan.voxels) == 6
    assert codes(scan) == ["copies"]


def test_copies_with_other_identifiers_are_left_out(
    tmp_path, write_series, stored_volume, even_positions
):
    """A series that was sent twice, with instance UIDs made up anew."""
    for name in ("a{}.dcm", "b{}.dcm"):
        write_series(
            tmp_path,
            stored_volume,
            even_positions,
            name=name,
            tags_of=lambda k: {"InstanceNumber": k + 1},
        )
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)
    assert "6 files hold an image that is there already" in scan.problems[0].text


def test_an_image_in_two_compressions_is_there_once(
    tmp_path, compress, write_series, stored_volume, even_positions
):
    paths = write_series(tmp_path / "plain", stored_volume, even_positions)
    shutil.copytree(tmp_path / "plain", tmp_path / "packed")
    for path in paths:
        compress(tmp_path / "packed" / path.name, "jpeg lossless")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)
    assert codes(scan) == ["copies"]


def test_files_that_may_not_be_opened_are_named(
    tmp_path, write_series, stored_volume, even_positions
):
    paths = write_series(tmp_path, stored_volume, even_positions)
    paths[0].unlink()
    paths[0].symlink_to(tmp_path / "gone")
    entries = find_scans(tmp_path)
    assert "s000.dcm" in entries[-1].error
    assert "gone, which is not there" in entries[-1].error
    [problem] = read_scan(tmp_path).problems
    assert (problem.code, problem.severity) == ("unreadable_files", "warning")
    assert "s000.dcm" in problem.text


def test_phases_of_one_series_become_scans(
    tmp_path, write_series, stored_volume, even_positions
):
    for phase in (1, 2):
        write_series(
            tmp_path / str(phase),
            stored_volume + np.uint16(phase),
            even_positions,
            AcquisitionNumber=phase,
        )
    entries = find_scans(tmp_path)
    assert [e.series_uid for e in entries] == ["1.2.3.4", "1.2.3.4#2"]
    for phase, entry in enumerate(entries, 1):
        expected = stored_volume.astype(int) + phase - 1024
        np.testing.assert_array_equal(read_scan(entry).voxels, expected)


def test_scouts_and_dose_pictures_are_set_apart(
    tmp_path, write_series, save_slice, slice_of, stored_volume, even_positions
):
    write_series(tmp_path, stored_volume, even_positions)
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    save_slice(slice_of(stored_volume[0], (0, 0, 0), **scout), tmp_path / "a.dcm")
    dose = {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}
    save_slice(slice_of(stored_volume[0], (0, 0, 0), **dose), tmp_path / "b.dcm")
    entries = find_scans(tmp_path)
    assert [bool(e.error) for e in entries] == [False, True, True]
    assert "scout" in entries[1].error + entries[2].error
    assert read_scan(tmp_path).voxels.shape == stored_volume.shape


def test_several_series_need_a_choice(
    tmp_path, write_series, stored_volume, even_positions
):
    for number in (1, 2):
        write_series(
            tmp_path,
            stored_volume,
            even_positions,
            name=f"IM{number}" + "{:04d}",
            SeriesInstanceUID=f"1.2.{number}",
        )
    with pytest.raises(
        BadScan, match=r"2 scans.*1\.2\.1 \(thorax, 6 images\)"
    ) as caught:
        read_scan(tmp_path)
    assert "ecret" not in str(caught.value)
    assert read_scan(tmp_path, series="1.2.2").voxels.shape == (6, 9, 11)
    with pytest.raises(BadScan, match=r"no series 9\.9"):
        read_scan(tmp_path, series="9.9")


def test_orientations_of_one_series_are_parted(
    tmp_path, write_series, stored_volume, even_positions
):
    write_series(tmp_path / "a", stored_volume, even_positions)
    write_series(
        tmp_path / "b",
        stored_volume,
        even_positions[:, [2, 0, 1]],
        ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
    )
    assert sorted(e.orientation for e in find_scans(tmp_path)) == ["RIP", "SPL"]


def test_dicomdir_and_nested_folders_without_suffixes(
    tmp_path, write_series, stored_volume, even_positions
):
    write_series(
        tmp_path / "D" / "0", stored_volume[:3], even_positions[:3], name="I{}"
    )
    write_series(
        tmp_path / "D" / "1", stored_volume[3:], even_positions[3:], name="I{}"
    )
    (tmp_path / "DICOMDIR").write_bytes(b"not read")
    (tmp_path / "VIEWER.EXE").write_bytes(b"MZ" + bytes(300))
    [entry] = find_scans(tmp_path / "DICOMDIR")
    assert entry.shape == (6, 9, 11)
    assert entry.path == tmp_path / "D"
    assert read_scan(entry).voxels.shape == (6, 9, 11)


@pytest.mark.parametrize("keep", [0.95, 0.5])
def test_a_truncated_slice_is_named(
    tmp_path, write_series, stored_volume, even_positions, keep
):
    paths = write_series(tmp_path, stored_volume, even_positions)
    whole = paths[-1].read_bytes()
    paths[-1].write_bytes(whole[: int(len(whole) * keep)])
    entries = find_scans(tmp_path)
    assert any("s005.dcm" in e.error for e in entries)
    with pytest.raises(BadScan, match=r"s005\.dcm.*Copy"):
        read_scan(paths[-1])
    if keep > 0.9:
        with pytest.raises(BadScan, match=r"s005\.dcm is truncated"):
            read_scan(tmp_path)
    else:
        assert "s005.dcm" in read_scan(tmp_path).problems[-1].text


def test_a_file_that_is_no_image(tmp_path):
    path = tmp_path / "notes.dcm"
    path.write_text("no image" * 100)
    with pytest.raises(BadScan, match=r"notes\.dcm is no DICOM file"):
        read_scan(path)
    assert "notes.dcm" in find_scans(path)[0].error


def test_colour_and_mosaic_are_refused(tmp_path, save_slice, slice_of, stored_volume):
    tags = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}
    path = save_slice(slice_of(stored_volume[0], (0, 0, 0), **tags), tmp_path / "m.dcm")
    with pytest.raises(BadScan, match="mosaic"):
        read_scan(path)


def test_identity_stays_in_its_field(
    tmp_path, write_series, stored_volume, even_positions
):
    write_series(tmp_path, stored_volume, even_positions, IssuerOfPatientID="here")
    [entry] = find_scans(tmp_path)
    scan = read_scan(entry)
    assert entry.patient == scan.patient == "secret-id|here"
    shown = repr((entry.acquisition, entry.problems, scan.acquisition, scan.problems))
    assert "ecret" not in shown


def test_patients_without_identifier_are_told_apart_by_name_then_study(
    tmp_path, save_slice, slice_of, stored_volume
):
    without = {"PatientID": None, "PatientBirthDate": "19000101"}
    path = save_slice(
        slice_of(stored_volume[0], (0, 0, 0), **without), tmp_path / "a.dcm"
    )
    assert find_scans(path)[0].patient == "Secret^Name|19000101"
    without = {"PatientID": None, "PatientName": None}
    path = save_slice(
        slice_of(stored_volume[0], (0, 0, 0), **without), tmp_path / "b.dcm"
    )
    assert find_scans(path)[0].patient == "1.2.3"


def test_labels_and_doses_are_no_scans(tmp_path, save_slice, slice_of, stored_volume):
    tags = {"Modality": "RTDOSE", "SOPInstanceUID": generate_uid()}
    path = save_slice(slice_of(stored_volume[0], (0, 0, 0), **tags), tmp_path / "d.dcm")
    with pytest.raises(BadScan, match=r"d\.dcm"):
        read_scan(path)
