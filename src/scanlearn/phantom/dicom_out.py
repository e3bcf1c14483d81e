"""Phantoms as DICOM files: a CT series of one file a slice, and single radiographs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.geometry import Grid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

    from scanlearn.phantom.chest import Phantom
    from scanlearn.phantom.radiograph import Radiograph

_INTERCEPT = -1024
_EPOCH = ("20200101", "120000")
_NOTICE = "Simulated phantom. Not for clinical use."


def dicom_uid(*parts: str | int) -> str:
    """Return the DICOM identifier of some names and numbers: always the same one."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def write_dicom_series(folder: Path, phantom: Phantom) -> list[Path]:
    """Write a phantom's scan as a CT series, one uncompressed file a slice.

    Returns the files, from the head down. ``folder`` is made where it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    common = _ct_header(phantom)
    voxels, grid = phantom.scan.voxels, phantom.scan.grid
    stored = (voxels.astype(np.int32) - _INTERCEPT).astype(np.uint16)
    files = []
    for number, k in enumerate(reversed(range(len(stored))), start=1):
        dataset = _slice_dataset(common, grid, k)
        dataset.InstanceNumber = number
        _set_pixels(dataset, stored[k], bits=12)
        files.append(folder / f"{number:04d}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    return files


def write_dicom_radiograph(path: Path, radiograph: Radiograph) -> Path:
    """Write a radiograph as a digital X-ray (DX) file."""
    from pydicom.uid import DigitalXRayImageStorageForPresentation

    uid = dicom_uid("radiograph", radiograph.seed, radiograph.name)
    dataset = _file_dataset(DigitalXRayImageStorageForPresentation, uid)
    _describe(dataset, radiograph.name, radiograph.seed, "Chest radiograph phantom")
    dataset.Modality = "DX"
    dataset.SeriesInstanceUID = dicom_uid("dx series", radiograph.seed, radiograph.name)
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.ViewPosition = "AP"
    dataset.PatientOrientation = ["L", "F"]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1
    dataset.PresentationLUTShape = "IDENTITY"
    pixel = f"{radiograph.pixel_mm:.6g}"
    dataset.ImagerPixelSpacing = dataset.PixelSpacing = [pixel, pixel]
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
    dataset.RescaleType = "US"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    _set_pixels(dataset, radiograph.pixels, bits=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _ct_header(phantom: Phantom) -> Dataset:
    """Return what all slices of a series share."""
    from pydicom.dataset import Dataset

    about, grid, who = phantom.scan.acquisition, phantom.scan.grid, phantom.patient
    dataset = Dataset()
    _describe(dataset, who.name, who.seed, about.description)
    series = (who.seed, who.name, about.description, grid.spacing_mm)
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID = dicom_uid("series", *map(str, series))
    dataset.FrameOfReferenceUID = dicom_uid("frame", who.seed, who.name)
    dataset.SeriesNumber = dataset.AcquisitionNumber = 1
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = "HFS"
    dataset.ConvolutionKernel = about.kernel
    dataset.KVP = "120"
    slice_mm, row_mm, column_mm = grid.spacing_mm
    dataset.SliceThickness = f"{slice_mm:.6g}"
    dataset.SpacingBetweenSlices = f"{slice_mm:.6g}"
    dataset.PixelSpacing = [f"{row_mm:.10g}", f"{column_mm:.10g}"]
    turned = grid.directions[:, [2, 1]].T.ravel()
    dataset.ImageOrientationPatient = [f"{cosine:.10g}" for cosine in turned]
    dataset.RescaleIntercept, dataset.RescaleSlope = str(_INTERCEPT), "1"
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = "-600", "1500"
    return dataset


def _slice_dataset(common: Dataset, grid: Grid, k: int) -> FileDataset:
    from pydicom.uid import CTImageStorage

    uid = dicom_uid("slice", common.SeriesInstanceUID, k)
    dataset = _file_dataset(CTImageStorage, uid)
    dataset.update(common)
    corner = grid.to_patient((k, 0, 0))
    dataset.ImagePositionPatient = [f"{mm:.10g}" for mm in corner]
    dataset.SliceLocation = f"{corner[2]:.10g}"
    return dataset


def _file_dataset(kind: str, uid: str) -> FileDataset:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(kind)
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(dicom_uid("napari-scanlearn phantom"))
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind, uid
    return dataset


def _describe(dataset: Dataset, name: str, seed: int, description: str) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientID = name
    dataset.PatientName = name
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyInstanceUID = dicom_uid("study", seed, name)
    dataset.StudyID = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = _EPOCH[0]
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = _EPOCH[1]
    dataset.SeriesDescription = description
    dataset.BodyPartExamined = "CHEST"
    dataset.Manufacturer = "napari-scanlearn phantom"
    dataset.ImageComments = _NOTICE


def _set_pixels(dataset: Dataset, pixels: NDArray[np.uint16], *, bits: int) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.ascontiguousarray(pixels, "<u2").tobytes()
