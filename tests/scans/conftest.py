from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

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
    dataset.HighBit = dataset.BitsStored - 1
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
