"""Time the DICOM reader against SimpleITK's series reader and a serial pydicom loop.

Writes a made-up chest CT of 275 x 512 x 512 voxels twice, uncompressed and as JPEG
lossless, and reads each with every reader in turn, several rounds in one process. The
result is one JSON document with medians and with ratios taken round by round::

    python benchmarks/read_dicom.py --rounds 5
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from scanlearn.scans.read import read_scan

Reader = Callable[[Path], NDArray[np.generic]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=275)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    readers: dict[str, Reader] = {
        "scanlearn": read_with_scanlearn,
        "simpleitk": read_with_simpleitk,
        "pydicom": read_with_pydicom,
    }
    report: dict[str, object] = {
        "shape": [options.slices, options.size, options.size],
        "rounds": options.rounds,
        "cores": os.cpu_count(),
    }
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "uncompressed")
        write_series(plain, slices=options.slices, size=options.size)
        packed = Path(folder, "jpeg_lossless")
        compress(plain, packed)
        for series in (plain, packed):
            report[series.name] = compare(series, readers, rounds=options.rounds)
    print(json.dumps(report, indent=2))


def compare(
    series: Path, readers: dict[str, Reader], *, rounds: int
) -> dict[str, object]:
    """Read a series with every reader in turn; return medians, ratios, equality."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    voxels = {name: reader(series) for name, reader in readers.items()}
    equal = all(np.array_equal(voxels["scanlearn"], v) for v in voxels.values())
    del voxels
    for _ in range(rounds):
        for name, reader in readers.items():
            start = time.perf_counter()
            reader(series)
            seconds[name].append(time.perf_counter() - start)
    result: dict[str, object] = {"voxels_identical": equal}
    for name, values in seconds.items():
        result[f"{name}_seconds"] = round(statistics.median(values), 4)
    for name in readers:
        pairs = zip(seconds[name], seconds["scanlearn"], strict=True)
        if name != "scanlearn":
            ratio = statistics.median(other / own for other, own in pairs)
            result[f"times_as_fast_as_{name}"] = round(ratio, 2)
    return result


def read_with_scanlearn(series: Path) -> NDArray[np.generic]:
    return read_scan(series).voxels


def read_with_simpleitk(series: Path) -> NDArray[np.generic]:
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(series))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(names)
    return SimpleITK.GetArrayFromImage(reader.Execute())


def read_with_pydicom(series: Path) -> NDArray[np.generic]:
    slices = [pydicom.dcmread(path) for path in sorted(series.iterdir())]
    slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    rescaled = [
        s.pixel_array.astype(np.float32) * float(s.RescaleSlope)
        + float(s.RescaleIntercept)
        for s in slices
    ]
    return np.stack(rescaled)


def write_series(folder: Path, *, slices: int, size: int) -> None:
    """Write a series of noisy discs, in shuffled file order."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = np.where(x**2 + y**2 < 0.8, 1064, 24)
    series, study = generate_uid(), generate_uid()
    for name, k in enumerate(rng.permutation(slices)):
        stored = body + rng.normal(0, 20, body.shape)
        dataset = slice_dataset(np.clip(stored, 0, 4095).astype(np.uint16), int(k))
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series, study
        dataset.save_as(folder / f"{name:04d}.dcm", enforce_file_format=True)


def slice_dataset(stored: NDArray[np.uint16], number: int) -> Dataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.PatientID, dataset.PatientName = "benchmark", "benchmark"
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber = number + 1
    dataset.ImagePositionPatient = [-200.0, -200.0, -100.0 + number]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.78, 0.78], 1.0
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = stored.tobytes()
    return dataset


def compress(plain: Path, packed: Path) -> None:
    """Write a copy of a series as JPEG lossless."""
    packed.mkdir()
    syntax = gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    for path in sorted(plain.iterdir()):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(syntax)
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(packed / path.name))
        if not reader.Read():
            raise OSError(f"cannot read {path}")
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise OSError(f"cannot compress {path}")
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        if not writer.Write():
            raise OSError(f"cannot write {packed / path.name}")


if __name__ == "__main__":
    main()
