from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import gdcm
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from scanlearn.scans.dicom.slice_header import SeriesInfo, SliceHeader
from scanlearn.scans.scan import Acquisition

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def make_slice(
    stored: np.ndarray, position: Sequence[float], **tags: object
) -> Dataset:
    """Return one CT slice; ``tags`` overrides or (None) removes attributes."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = tags.get("SOPClassUID", CTImageStorage)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    defaults: dict[str, object] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "PatientID": "secret-id",
        "PatientName": "Secret^Name",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SeriesDescription": "thorax",
        "ConvolutionKernel": "B40f",
        "ImagePositionPatient": [float(p) for p in position],
        "ImageOrientationPatient": list(AXIAL),
        "PixelSpacing": [0.8, 0.7],
        "SliceThickness": 2.0,
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": stored.dtype.itemsize * 8,
        "BitsStored": stored.dtype.itemsize * 8,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
    }
    for name, value in (defaults | tags).items():
        if value is not None:
            setattr(dataset, name, value)
    dataset.HighBit = tags.get("HighBit", dataset.BitsStored - 1)
    dataset["PixelRepresentation"].value = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


@pytest.fixture
def slice_of() -> Callable[..., Dataset]:
    return make_slice


@pytest.fixture
def save_slice() -> Callable[[Dataset, Path], Path]:
    def save(dataset: Dataset, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return save


@pytest.fixture
def stored_volume() -> np.ndarray:
    """Return unsigned stored values (slices, rows, columns), all different."""
    rng = np.random.default_rng(7)
    return rng.integers(0, 4096, (6, 9, 11)).astype(np.uint16)


@pytest.fixture
def write_series(save_slice) -> Callable[..., list[Path]]:
    """Return a function that writes (n, rows, columns) slices at given positions."""

    def write(
        folder: Path,
        stored: np.ndarray,
        positions: np.ndarray,
        *,
        name: str = "s{:03d}.dcm",
        tags_of: Callable[[int], dict[str, object]] | None = None,
        **tags: object,
    ) -> list[Path]:
        paths = []
        for k, (values, position) in enumerate(zip(stored, positions, strict=True)):
            own = tags_of(k) if tags_of else {}
            dataset = make_slice(values, position, **(tags | own))
            paths.append(save_slice(dataset, folder / name.format(k)))
        return paths

    return write


@pytest.fixture
def even_positions() -> np.ndarray:
    """Return (6, 3) positions 2.5 mm apart, rising."""
    return np.array([[-30.0, -40.0, 100.0 + 2.5 * k] for k in range(6)])


SYNTAXES = {
    "jpeg lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "jpeg lossless 14": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "jpeg-ls": gdcm.TransferSyntax.JPEGLSLossless,
    "jpeg-ls lossy": gdcm.TransferSyntax.JPEGLSNearLossless,
    "jpeg 2000": gdcm.TransferSyntax.JPEG2000Lossless,
    "jpeg 2000 lossy": gdcm.TransferSyntax.JPEG2000,
    "rle": gdcm.TransferSyntax.RLELossless,
    "jpeg baseline": gdcm.TransferSyntax.JPEGBaselineProcess1,
    "jpeg extended": gdcm.TransferSyntax.JPEGExtendedProcess2_4,
}


@pytest.fixture
def compress() -> Callable[[Path, str], Path]:
    """Return a function that compresses a DICOM file in place."""

    def change_syntax(path: Path, kind: str) -> Path:
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(SYNTAXES[kind]))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        packed = path.with_name(f"{path.name} packed")
        writer.SetFileName(str(packed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        # GDCM rewrites functional groups too: only its pixels are taken.
        dataset, other = dcmread(path), dcmread(packed)
        syntax = other.file_meta.TransferSyntaxUID
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset["PixelData"] = other["PixelData"]
        dataset["PixelData"].is_undefined_length = True
        packed.unlink()
        dataset.save_as(path, implicit_vr=False, little_endian=True)
        return path

    return change_syntax


@pytest.fixture
def item() -> Callable[..., DicomSequence]:
    return make_item


def make_item(**values: object) -> DicomSequence:
    """Return a sequence of one item."""
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return DicomSequence([dataset])


@pytest.fixture
def enhanced(stored_volume, even_positions):
    """Return an enhanced CT of six frames, stored from head to foot."""
    dataset = make_slice(
        stored_volume.reshape(54, 11),
        (0, 0, 0),
        SOPClassUID=EnhancedCTImageStorage,
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    dataset.Rows, dataset.NumberOfFrames = 9, 6
    scale = make_item(RescaleSlope=1, RescaleIntercept=-1000, RescaleType="HU")
    dataset.SharedFunctionalGroupsSequence = make_item(
        PlaneOrientationSequence=make_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=make_item(PixelSpacing=[0.8, 0.7], SliceThickness=2.5),
        PixelValueTransformationSequence=scale,
    )
    frames = []
    for position in even_positions[::-1]:
        place = make_item(ImagePositionPatient=list(position))
        frames.append(make_item(PlanePositionSequence=place)[0])
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    return dataset


@pytest.fixture(scope="session")
def header_of() -> Callable[..., SliceHeader]:
    """Return a function that makes the header of a CT slice at a position."""
    return make_header


def make_header(position: Sequence[float], **changes: object) -> SliceHeader:
    plain = SliceHeader(
        path=Path("a.dcm"),
        series=SeriesInfo("1.2", Acquisition(modality="CT", units="HU"), "nobody"),
        sop_uid="",
        sop_class=CTImageStorage,
        syntax=ExplicitVRLittleEndian,
        frame=0,
        frames=1,
        rows=4,
        columns=5,
        samples=1,
        photometric="MONOCHROME2",
        bits_allocated=16,
        bits_stored=16,
        signed=True,
        padding=None,
        position=tuple(map(float, position)),
        orientation=AXIAL,
        pixel_spacing=(0.7, 0.9),
        detector_spacing=(),
        slice_spacing=None,
        thickness=1.0,
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        phase=(),
        pixel_offset=0,
    )
    return replace(plain, **changes)


@pytest.fixture(scope="session")
def slices_at() -> Callable[..., list[SliceHeader]]:
    """Return a function that makes headers of slices at positions."""

    def make(positions: Sequence[Sequence[float]], orientation: Sequence[float]):
        turn = tuple(map(float, orientation))
        return [
            make_header(position, path=Path(f"{k}.dcm"), orientation=turn)
            for k, position in enumerate(positions)
        ]

    return make
