"""Every awkward scan is read exactly, or refused for the right reason.

The table in docs/awkward_scans.md says the same; a test below holds the two together.
DICOM slices are compared one by one with SimpleITK's reading of each file (SimpleITK's
series reader itself misplaces tilted series), NIfTI files with nibabel.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan

TABLE = Path(__file__).parents[2] / "docs" / "awkward_scans.md"

#: Folder, the problems it is read with.
READ = {
    "dicom_seg_ct3": ["padding"],
    "failing_gantrytilting_001": ["tilt"],
    "failing_slicecount_001": [],
    "ge_anatomical_001_single_slice": ["single_slice"],
    "generic_anatomical_002_non_isotropic": [],
    "generic_compressed_j2k_001": [],
    "generic_compressed_jpeg_001": [],
    "generic_compressed_jpegls_001": [],
    "generic_compressed_rle_001": [],
}
ENHANCED = ["philips_enhanced_anatomical_001", "siemens_multiframe_anatomical_001"]
REFUSED = {
    "failing_notavolume_001": "all 4 slices lie at 61.50 mm",
    "failing_sliceincrement_001": "1 slice is missing: 28.11 to 38.11 mm",
    "failing_sliceorientation_001": "holds 2 scans",
    "generic_rgb_001": "a colour picture has no intensities",
}
NIFTI = {
    "CT_pitch.nii.gz": [],
    "anatomical.nii": [],
    "example4d.nii.gz": ["4d"],
    "example_nifti2.nii.gz": ["4d"],
    "fmri_pitch.nii.gz": [],
    "functional.nii": ["4d"],
    "img4d_11f.nii.gz": ["4d"],
    "reoriented_anat_moved.nii": [],
    "resampled_anat_moved.nii": ["not_finite"],
    "standard.nii.gz": [],
}
CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.fixture
def awkward(real_data):
    return real_data / "awkward"


def compare_slices(scan, files) -> None:
    """Compare a scan with SimpleITK's reading of each of its files."""
    assert len(files) == len(scan.voxels)
    for k, file in enumerate(files):
        image = SimpleITK.ReadImage(str(file))
        expected = SimpleITK.GetArrayFromImage(image)[0]
        np.testing.assert_array_equal(scan.voxels[k], expected.astype(np.float32))
        rows, columns = expected.shape
        for a, b in CORNERS:
            j, i = a * (rows - 1), b * (columns - 1)
            point = image.TransformIndexToPhysicalPoint((i, j, 0))
            place = scan.grid.to_patient((k, j, i))
            np.testing.assert_allclose(place, point, atol=1e-3)


@pytest.mark.parametrize("folder", READ)
def test_series_agree_with_simpleitk(awkward, folder):
    [entry] = find_scans(awkward / "dicom" / folder)
    scan = read_scan(awkward / "dicom" / folder)
    assert entry.error == ""
    assert [p.code for p in scan.problems] == READ[folder]
    compare_slices(scan, entry.files)


@pytest.mark.parametrize("folder", ENHANCED)
def test_enhanced_files_agree_frame_by_frame(awkward, folder):
    [file] = (awkward / "dicom" / folder).iterdir()
    scan = read_scan(file)
    dataset = pydicom.dcmread(file)
    places = {}
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        scale = frame.PixelValueTransformationSequence[0]
        values = dataset.pixel_array[number] * float(scale.RescaleSlope)
        places[number] = position, values + float(scale.RescaleIntercept)
    origins = scan.grid.to_patient([(k, 0, 0) for k in range(len(scan.voxels))])
    for position, values in places.values():
        gaps = np.linalg.norm(origins - np.array(position, float), axis=1)
        assert gaps.min() < 1e-3
        k = int(gaps.argmin())
        found = scan.voxels[k]
        for corner in CORNERS:
            _compare_in_plane(scan, dataset, k, position, corner)
        np.testing.assert_array_equal(found, values.astype(found.dtype))


def _compare_in_plane(scan, dataset, k, position, corner) -> None:
    """Compare a corner of a frame with the functional groups' own words."""
    own = dataset.PerFrameFunctionalGroupsSequence[0]
    shared = dataset.get("SharedFunctionalGroupsSequence", [None])[0]
    groups = own if "PlaneOrientationSequence" in own else shared
    cosines = groups.PlaneOrientationSequence[0].ImageOrientationPatient
    groups = own if "PixelMeasuresSequence" in own else shared
    spacing = groups.PixelMeasuresSequence[0].PixelSpacing
    along_row, along_column = np.reshape(np.array(cosines, float), (2, 3))
    j, i = np.array(corner) * (np.array(scan.voxels.shape[1:]) - 1)
    point = np.array(position, float)
    point = point + along_column * j * float(spacing[0])
    point = point + along_row * i * float(spacing[1])
    np.testing.assert_allclose(scan.grid.to_patient((k, j, i)), point, atol=1e-3)


@pytest.mark.parametrize("folder", REFUSED)
def test_what_is_no_volume_is_refused(awkward, folder):
    with pytest.raises(BadScan, match=REFUSED[folder].replace(".", r"\.")) as caught:
        read_scan(awkward / "dicom" / folder)
    assert folder in str(caught.value)
    assert caught.value.next_step


def test_the_series_with_a_gap_can_be_interpolated(awkward):
    folder = awkward / "dicom" / "failing_sliceincrement_001"
    scan = read_scan(folder, on_uneven="resample")
    assert scan.voxels.shape[0] == 5
    [entry] = find_scans(folder)
    for k, file in zip([0, 1, 2, 4], entry.files, strict=True):
        expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))[0]
        np.testing.assert_array_equal(scan.voxels[k], expected)
    assert [(p.code, p.severity) for p in scan.problems] == [("missing", "warning")]


def test_both_orientations_can_be_chosen(awkward):
    entries = find_scans(awkward / "dicom" / "failing_sliceorientation_001")
    assert len(entries) == 2
    for entry in entries:
        compare_slices(read_scan(entry), entry.files)


def test_four_compressions_hold_the_same_scan(awkward):
    kinds = ["j2k", "jpeg", "jpegls", "rle"]
    folders = [awkward / "dicom" / f"generic_compressed_{k}_001" for k in kinds]
    scans = [read_scan(folder) for folder in folders]
    for scan in scans[1:]:
        np.testing.assert_array_equal(scan.voxels, scans[0].voxels)
        assert scan.grid.matches(scans[0].grid)


@pytest.mark.parametrize("name", NIFTI)
def test_nifti_files_agree_with_nibabel(awkward, name):
    oracle = nib.load(awkward / "nifti" / name)
    scan = read_scan(awkward / "nifti" / name)
    values = oracle.get_fdata(dtype=np.float64)
    values = values[..., 0] if values.ndim == 4 else values
    finite = np.isfinite(values)
    assert [p.code for p in scan.problems] == NIFTI[name]
    expected = values[finite].astype(scan.voxels.dtype)
    np.testing.assert_array_equal(scan.voxels[finite], expected)
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * (np.array(values.shape) - 1)
        point = nib.affines.apply_affine(oracle.affine, index) * [-1, -1, 1]
        np.testing.assert_allclose(scan.grid.to_patient(index), point, atol=1e-3)


@pytest.mark.parametrize("name", ["LIDC-IDRI-0001", "Lung_Dx-A0002_B40f"])
def test_chest_ct_agrees_with_simpleitk(real_data, name):
    folder = real_data / "chest_ct" / name
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    oracle = reader.Execute()
    scan = read_scan(folder)
    assert scan.acquisition.units == "HU"
    np.testing.assert_array_equal(scan.voxels, SimpleITK.GetArrayFromImage(oracle))
    shape = np.array(scan.voxels.shape)
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * (shape - 1)
        point = oracle.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
        np.testing.assert_allclose(scan.grid.to_patient(index), point, atol=1e-3)


def test_the_table_names_every_case(awkward):
    known = {*READ, *ENHANCED, *REFUSED, *NIFTI}
    found = {
        path.name for kind in ("dicom", "nifti") for path in (awkward / kind).iterdir()
    }
    assert found == known
    rows = [row for row in TABLE.read_text().splitlines() if row.startswith("| `")]
    told = {row.split("`")[1]: row for row in rows}
    assert set(told) == known
    for name in known:
        assert ("refused" in told[name].split("|")[3]) == (name in REFUSED)
    for name, reason in REFUSED.items():
        assert reason in told[name]
