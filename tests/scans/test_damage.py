"""Damaged files are read or refused by name: no traceback, no crash, no silence.

Hypothesis cuts real headers short and flips their bits. Whatever a file then says, the
readers answer with a scan or a :class:`ScanlearnError` that names the file.
"""

from __future__ import annotations

import random
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RTStructureSetStorage,
)

from scanlearn.errors import BadLabels, BadScan, ScanlearnError
from scanlearn.scans.find import find_scans
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.read_labels import read_label_map, read_label_names
from scanlearn.scans.labels.write_dicom_seg import write_dicom_seg
from scanlearn.scans.read import read_scan

DICOM = [
    "explicit",
    "implicit",
    "big-endian",
    "deflated",
    "jpeg lossless",
    "jpeg-ls",
    "jpeg 2000",
    "rle",
    "jpeg extended",
    "enhanced",
]
OTHERS = ["a.nii", "a.nii.gz", "a.hdr", "a.mha", "z.mha", "a.nrrd", "a.png", "a.tif"]
LABELS = ["seg.dcm", "contours.dcm", "mask.nii.gz"]
HEADER_BYTES = 1800


@pytest.fixture
def sound(tmp_path, save_slice, slice_of, compress, enhanced):
    """Return a function that writes a sound file of a kind."""
    row, column = np.mgrid[:24, :24]
    picture = (1000 + 17 * row + 11 * column).astype(np.uint16)
    volume = np.arange(336, dtype=np.int16).reshape(6, 7, 8)

    def write_dicom(kind: str) -> Path:
        path = tmp_path / "slice.dcm"
        if kind == "enhanced":
            return save_slice(enhanced, path)
        dataset = slice_of(picture, (1, 2, 3), BitsStored=12)
        syntaxes = {
            "implicit": ImplicitVRLittleEndian,
            "big-endian": ExplicitVRBigEndian,
            "deflated": DeflatedExplicitVRLittleEndian,
        }
        if kind in syntaxes:
            dataset.file_meta.TransferSyntaxUID = syntaxes[kind]
            pydicom.dcmwrite(path, dataset, enforce_file_format=True)
            return path
        save_slice(dataset, path)
        return path if kind == "explicit" else compress(path, kind)

    def write(kind: str) -> Path:
        path = tmp_path / kind
        if kind in DICOM:
            return write_dicom(kind)
        if kind == "seg.dcm":
            return _write_seg(path, save_slice, slice_of)
        if kind == "contours.dcm":
            return _write_contours(path)
        if path.suffix in (".png", ".tif"):
            Image.fromarray(picture).save(path)
        elif path.suffix in (".mha", ".nrrd"):
            image = SimpleITK.GetImageFromArray(volume)
            SimpleITK.WriteImage(image, str(path), useCompression=kind == "z.mha")
        elif path.suffix == ".hdr":
            nib.save(nib.Nifti1Pair(volume, np.diag([1, 2, 3, 1])), path)
        else:
            nib.save(nib.Nifti1Image(volume, np.diag([1, 2, 3, 1])), path)
        return path

    return write


def _write_seg(path, save_slice, slice_of) -> Path:
    blank = np.zeros((9, 11), np.uint16)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, ::-1] * (2.5, 0.8, 0.7)
    grid = Grid((3, 9, 11), affine)
    files = [
        save_slice(
            slice_of(blank, grid.to_patient((k, 0, 0)), FrameOfReferenceUID="1.2.9"),
            path.parent / f"source-{k}",
        )
        for k in range(3)
    ]
    labels = np.zeros(grid.shape, np.uint8)
    labels[1, 2:5, 3:7] = 1
    write_dicom_seg(path, labels, grid, source_files=files, names={1: "lung"})
    for file in files:
        file.unlink()
    return path


def _write_contours(path: Path) -> Path:
    contour, drawn, roi, dataset = Dataset(), Dataset(), Dataset(), Dataset()
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.ContourData = [1, 1, 2, 5, 1, 2, 5, 5, 2, 1, 5, 2]
    drawn.ReferencedROINumber, drawn.ContourSequence = 1, [contour]
    roi.ROINumber, roi.ROIName = 1, "lung"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.Modality = "RTSTRUCT"
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [roi], [drawn]
    dataset.save_as(path, enforce_file_format=True)
    return path


def damaged(whole: bytes, seed: int) -> bytes:
    """Cut a file short, or change some of its bits, mostly in its header."""
    chance = random.Random(seed)
    if chance.random() < 0.2:
        return whole[: chance.randrange(len(whole))]
    content = bytearray(whole)
    for _ in range(chance.choice([1, 1, 2, 4, 8])):
        reach = len(content) if chance.random() < 0.4 else HEADER_BYTES
        place = chance.randrange(min(reach, len(content)))
        if chance.random() < 0.7:
            content[place] ^= 1 << chance.randrange(8)
        else:
            content[place] = chance.choice([0, 127, 128, 255])
    return bytes(content)


def answers_by_name(ask, path: Path) -> None:
    """Ask a reader; it answers, or refuses with the name of the file."""
    refusal = None
    try:
        ask(path)
    except ScanlearnError as error:
        refusal = str(error)
    assert refusal is None or path.stem in refusal


damage = given(seed=st.integers(0, 2**32 - 1))
few = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*DICOM, *OTHERS])
def test_a_damaged_scan_is_read_or_refused_by_name(sound, kind):
    path = sound(kind)
    whole = path.read_bytes()
    read_scan(path)

    @few
    @damage
    def tried(seed: int) -> None:
        path.write_bytes(damaged(whole, seed))
        answers_by_name(find_scans, path)
        answers_by_name(read_scan, path)

    tried()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", LABELS)
def test_damaged_labels_are_read_or_refused_by_name(sound, kind):
    path = sound(kind)
    whole = path.read_bytes()
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, ::-1]
    grid = Grid((6, 9, 9), affine)

    @few
    @damage
    def tried(seed: int) -> None:
        path.write_bytes(damaged(whole, seed))
        answers_by_name(lambda file: read_label_map(file, like=grid), path)
        answers_by_name(read_label_map, path)
        answers_by_name(read_label_names, path)

    tried()


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Rows": 0}, "has no image"),
        ({"Columns": 0}, "has no image"),
        ({"Rows": 60000, "Columns": 60000}, "impossible size of 60000 x 60000"),
        ({"Rows": 2000}, "truncated"),
        ({"BitsAllocated": 12}, "12 bits"),
        ({"ImagePositionPatient": [1, 2]}, "no position"),
        ({"PixelSpacing": [-1, 0]}, ""),
    ],
)
def test_impossible_headers(tmp_path, save_slice, slice_of, tags, message):
    stored = np.zeros((9, 11), np.uint16)
    path = save_slice(slice_of(stored, (0, 0, 0), **tags), tmp_path / "odd.dcm")
    if not message:
        assert "no_spacing" in [p.code for p in read_scan(path).problems]
        return
    with pytest.raises(BadScan, match=message) as caught:
        read_scan(path)
    assert "odd" in str(caught.value)


def test_numbers_in_contours_that_are_none_are_refused(sound):
    path = sound("contours.dcm")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"5.0\\1.0", b"5.x\\1.0", 1))
    assert path.read_bytes() != whole
    grid = Grid((6, 9, 9), np.eye(4))
    with pytest.raises(BadLabels, match=r"contours\.dcm is damaged"):
        read_label_map(path, like=grid)
