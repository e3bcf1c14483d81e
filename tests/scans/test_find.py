"""What lies in a folder."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.fileset import FileSet

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


@pytest.fixture
def mixed(tmp_path, write_series, stored_volume, even_positions):
    write_series(tmp_path / "ct", stored_volume, even_positions)
    (tmp_path / "nifti" / "deep").mkdir(parents=True)
    image = nib.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.eye(4))
    nib.save(image, tmp_path / "nifti" / "deep" / "brain.nii.gz")
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "chest.png")
    (tmp_path / "broken.nii").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / ".hidden.nii").write_bytes(b"hidden")
    return tmp_path


def test_one_entry_a_scan(mixed):
    entries = find_scans(mixed)
    assert [(e.kind, e.path.name, bool(e.error)) for e in entries] == [
        ("dicom", "ct", False),
        ("nifti", "broken.nii", True),
        ("picture", "chest.png", False),
        ("nifti", "brain.nii.gz", False),
    ]
    for entry in entries:
        if entry.error:
            with pytest.raises(BadScan, match="broken"):
                read_scan(entry)
        else:
            assert read_scan(entry).voxels.shape == entry.shape


def test_progress_counts_files_and_may_cancel(mixed):
    seen = []
    find_scans(mixed, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, 10) for k in range(10)]

    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        find_scans(mixed, progress=stop)


def test_a_folder_of_several_scans_asks_for_one(mixed):
    with pytest.raises(BadScan, match="3 scans"):
        read_scan(mixed)


def test_a_folder_of_one_file(mixed):
    assert read_scan(mixed / "nifti").voxels.shape == (2, 3, 4)


@pytest.mark.parametrize("reader", [find_scans, read_scan])
def test_nothing_to_read(tmp_path, reader):
    with pytest.raises(BadScan, match="it is empty"):
        reader(tmp_path)
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader")
    with pytest.raises(BadScan, match=r"letter\.txt is no image.*Choose a scan"):
        reader(path)
    with pytest.raises(BadScan, match="none of its 1 files is a scan"):
        reader(tmp_path)
    with pytest.raises(BadScan, match="does not exist"):
        reader(tmp_path / "nowhere")


def test_a_real_dicomdir_leads_to_its_series_and_is_no_scan_itself(
    tmp_path, write_series, stored_volume, even_positions
):
    paths = write_series(
        tmp_path / "source",
        stored_volume,
        even_positions,
        StudyDate="20260101",
        StudyTime="120000",
        StudyID="1",
        SeriesNumber=1,
        tags_of=lambda k: {"InstanceNumber": k + 1},
    )
    disc = FileSet()
    for path in paths:
        disc.add(path)
    disc.write(tmp_path / "disc")
    directory = tmp_path / "disc" / "DICOMDIR"
    assert pydicom.dcmread(directory).DirectoryRecordSequence
    for source in (directory, tmp_path / "disc"):
        [entry] = find_scans(source)
        expected = stored_volume.astype(int) - 1024
        np.testing.assert_array_equal(read_scan(entry).voxels, expected)
    # Under another name it is told by its class.
    shutil.copy(directory, tmp_path / "disc" / "INDEX.dcm")
    assert [e.error for e in find_scans(tmp_path / "disc")] == [""]


def test_dose_pictures_and_reports_beside_slices_are_set_apart(
    tmp_path, write_series, save_slice, slice_of, stored_volume, even_positions
):
    write_series(tmp_path, stored_volume, even_positions)
    capture = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "ImageType": ["DERIVED", "SECONDARY"],
        "ImagePositionPatient": None,
        "ImageOrientationPatient": None,
        "PixelSpacing": None,
    }
    grey = slice_of(stored_volume[0], (0, 0, 0), **capture)
    save_slice(grey, tmp_path / "dose")
    colour = slice_of(np.zeros((9, 33), np.uint8), (0, 0, 0), **capture)
    colour.Columns, colour.SamplesPerPixel, colour.PlanarConfiguration = 11, 3, 0
    colour.PhotometricInterpretation = "RGB"
    save_slice(colour, tmp_path / "screen")
    report = slice_of(stored_volume[0], (0, 0, 0), Modality="SR")
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    for name in ("PixelData", "Rows", "Columns"):
        del report[name]
    save_slice(report, tmp_path / "report")
    scan, *apart = find_scans(tmp_path)
    assert (scan.error, scan.shape) == ("", stored_volume.shape)
    assert len(apart) == 2
    assert "secondary capture" in apart[0].error + apart[1].error
    assert "colour picture" in apart[0].error + apart[1].error
    expected = stored_volume.astype(int) - 1024
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, expected)
