"""The same phantom lies at the same place as DICOM and as NIfTI, for other software."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from scanlearn.phantom.chest import make_chest
from scanlearn.phantom.dicom_out import write_dicom_radiograph, write_dicom_series
from scanlearn.phantom.radiograph import make_radiograph
from scanlearn.scans.files.write_nifti import write_nifti


@pytest.fixture(scope="module")
def phantom():
    return make_chest(3, 2, spacing_mm=(5.0, 3.1, 2.9))


@pytest.fixture(scope="module")
def series(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    write_dicom_series(folder, phantom)
    return folder


def read_series(folder) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def test_simpleitk_reads_the_same_values_at_the_same_points(phantom, series, tmp_path):
    dicom = read_series(series)
    path = tmp_path / "scan.nii.gz"
    write_nifti(path, phantom.scan.voxels, phantom.scan.grid)
    nifti = nib.load(path)
    rng = np.random.default_rng(0)
    index = rng.integers(0, phantom.scan.grid.shape, (200, 3))
    points = phantom.scan.grid.to_patient(index)
    voxels = np.asarray(nifti.dataobj)
    to_index = np.linalg.inv(nifti.affine)
    for (k, j, i), point in zip(index, points, strict=True):
        value = phantom.scan.voxels[k, j, i]
        at = dicom.TransformPhysicalPointToContinuousIndex(point.tolist())
        assert at == pytest.approx((i, j, k), abs=1e-3)
        assert dicom[int(i), int(j), int(k)] == value
        ras = [*(point * (-1, -1, 1)), 1.0]
        found = (to_index @ ras)[:3]
        assert found == pytest.approx(np.rint(found), abs=1e-3)
        assert voxels[tuple(np.rint(found).astype(int))] == value


def test_a_slice_says_what_it_is(phantom, series):
    files = sorted(series.glob("*.dcm"))
    assert len(files) == phantom.scan.grid.shape[0]
    first, last = pydicom.dcmread(files[0]), pydicom.dcmread(files[-1])
    assert first.PatientID == "PHANTOM-0002"
    assert first.ConvolutionKernel == phantom.scan.acquisition.kernel
    assert first.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert float(first.SliceThickness) == 5.0
    assert float(first.RescaleIntercept) == -1024
    assert first.SeriesInstanceUID == last.SeriesInstanceUID
    assert first.SOPInstanceUID != last.SOPInstanceUID
    assert first.ImagePositionPatient[2] > last.ImagePositionPatient[2]


def test_the_same_phantom_gives_the_same_bytes(phantom, series, tmp_path):
    again = write_dicom_series(tmp_path, phantom)
    for path in again[:: len(again) // 3]:
        assert path.read_bytes() == (series / path.name).read_bytes()


def test_a_radiograph_is_a_dx_file_with_the_same_pixels(tmp_path):
    image = make_radiograph(0, 4)
    dataset = pydicom.dcmread(write_dicom_radiograph(tmp_path / "dx.dcm", image))
    assert dataset.Modality == "DX"
    assert np.array_equal(dataset.pixel_array, image.pixels)
    assert [float(mm) for mm in dataset.PixelSpacing] == [image.pixel_mm] * 2
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "dx.dcm"))).shape == (
        1,
        *image.pixels.shape,
    )
