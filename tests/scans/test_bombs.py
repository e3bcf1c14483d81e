"""Files made to take all time or memory are refused, within bounds that are stated.

Every file here is small on disk. Whoever opens it may take :data:`MOST_SECONDS` of the
processor's time and :data:`MOST_BYTES` of memory, whatever the file promises.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from scanlearn.errors import BadLabels, BadScan, ScanlearnError
from scanlearn.phantom.chest import make_chest
from scanlearn.phantom.dicom_out import write_dicom_series
from scanlearn.scans.files.itk import read_itk
from scanlearn.scans.files.ome_zarr import write_ome_zarr
from scanlearn.scans.files.picture import MOST_PIXELS
from scanlearn.scans.find import find_scans
from scanlearn.scans.labels.seg_nrrd import read_seg_nrrd
from scanlearn.scans.read import read_scan
from scanlearn.scans.tables.label_tables import read_table
from scanlearn.scans.tables.table_text import MOST_ROWS

MOST_SECONDS, MOST_BYTES = 20.0, 700_000_000

#: Listing and reading a scan in a process of its own, with its time and its memory.
_OPEN = """
import resource, sys, time
from pathlib import Path
from scanlearn.errors import ScanlearnError
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan
begun = time.process_time()
try:
    (entry,) = find_scans(Path(sys.argv[1]))
    told = entry.error or str(read_scan(entry).voxels.shape)
except ScanlearnError as error:
    told = str(error)
if sys.platform == "linux":  # where getrusage tells of the parent, too
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = 1024 * next(int(x.split()[1]) for x in lines if x.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(time.process_time() - begun, peak)
print(told)
"""


def opened(path: Path) -> str:
    """Return what is told of a file, after a look at what that took."""
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    numbers, _, told = done.stdout.partition("\n")
    seconds, peak = map(float, numbers.split())
    assert seconds < MOST_SECONDS
    assert peak < MOST_BYTES
    return told


def write_png(path: Path, side: int) -> Path:
    """Write a black picture: a megapixel is a kilobyte."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + end

    packer = zlib.compressobj(9)
    lines = b"".join(packer.compress(b"\0" * (side + 1)) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", lines + packer.flush())
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("side", [12_000, 20_000])
def test_a_picture_of_144_megapixels_is_refused(tmp_path, side):
    path = write_png(tmp_path / "film.png", side)
    assert path.stat().st_size < 2_000_000
    told = opened(path)
    assert f"{side**2 / 1e6:,.0f} megapixels" in told or "too large" in told


def test_a_picture_as_large_as_a_mammogram_is_read(tmp_path):
    side = 5_400
    assert 28_000_000 < side**2 < MOST_PIXELS
    told = opened(write_png(tmp_path / "film.png", side))
    assert told.strip() == f"(1, {side}, {side})"


def test_a_picture_of_many_pages_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("scanlearn.scans.files.picture._MOST_PAGES", 3)
    pages = [Image.fromarray(np.full((4, 4), n, np.uint8)) for n in range(4)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    (entry,) = find_scans(tmp_path / "a.tif")
    assert "has 4 pages" in entry.error


def test_a_compressed_volume_that_promises_too_much_is_refused(tmp_path):
    """A NIfTI header may promise a petabyte; the file has a kilobyte."""
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), path)
    raw = bytearray(zlib.decompress(path.read_bytes(), 31))
    struct.pack_into("<4h", raw, 40, 3, 32_000, 32_000, 32_000)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    path.write_bytes(packer.compress(bytes(raw)) + packer.flush())
    assert "bytes for its voxels" in opened(path)


def dicom_file(folder: Path) -> Path:
    write_dicom_series(folder, make_chest(3, 1, spacing_mm=(40, 5, 5)))
    first, *others = sorted(folder.iterdir())
    for path in others:
        path.unlink()
    return first


def changed(path: Path, **values) -> Path:
    image = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(image, name, value)
    image.save_as(path)
    return path


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"NumberOfFrames": 1_000_000_000}, "1000000000 frames"),
        ({"Rows": 60_000, "Columns": 60_000}, "impossible size"),
        ({"Rows": 12_000, "Columns": 12_000}, "truncated"),
        ({"BitsAllocated": 64_000}, ""),
    ],
)
def test_dicom_headers_that_lie_are_refused(tmp_path, values, told):
    path = changed(dicom_file(tmp_path / "s"), **values)
    assert told in opened(path.parent)


def test_dicom_sequences_in_each_other_are_refused_or_passed_over(tmp_path):
    """Five thousand levels of (0040,0275), one in the other, of undefined length."""
    path = dicom_file(tmp_path / "s")
    raw = path.read_bytes()
    tag = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    pixels = raw.index(b"\xe0\x7f\x10\x00")
    deep = raw[:pixels] + tag * 5_000 + end * 5_000 + raw[pixels:]
    path.write_bytes(deep)
    opened(path.parent)


def deflated(path: Path, zeros: int) -> Path:
    """Write a DICOM file deflated, with so many megabytes of padding at its end."""
    image = pydicom.dcmread(path)
    image.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    image.save_as(path)
    raw = path.read_bytes()
    start = 144 + int.from_bytes(raw[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = zlib.decompressobj(-15).decompress(raw[start:])
    padding = b"\xfc\xff\xfc\xffOB\0\0" + (zeros << 20).to_bytes(4, "little")
    packed = [packer.compress(body + padding)]
    packed += [packer.compress(b"\0" * (1 << 20)) for _ in range(zeros)]
    path.write_bytes(raw[:start] + b"".join(packed) + packer.flush())
    return path


def test_a_deflated_file_that_becomes_a_thousand_times_as_large_is_refused(tmp_path):
    path = deflated(dicom_file(tmp_path / "s"), 256)
    assert path.stat().st_size < 300_000
    assert "deflated and becomes larger" in opened(path.parent)


def test_an_ordinary_deflated_file_is_read(tmp_path):
    path = deflated(dicom_file(tmp_path / "s"), 1)
    assert opened(path.parent).startswith("(")


ELSEWHERE = (
    *("../x.raw", "/etc/passwd", "/dev/zero", "a/../../x.raw", "~/x.raw"),
    *("LIST\n../x.raw", "../x%03d.raw 1 10 1"),
    *(r"..\x.raw", r"C:\x.raw", r"\\host\x.raw"),
)


@pytest.mark.parametrize("kind", ["mhd", "nhdr"])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_header_that_names_a_file_elsewhere_is_refused(tmp_path, kind, name):
    np.arange(1000, dtype=np.uint8).tofile(tmp_path / "x.raw")
    path = header_beside(tmp_path / "scans", kind, name)
    (entry,) = find_scans(path)
    assert "outside its folder" in entry.error
    with pytest.raises(BadScan, match="outside its folder"):
        read_itk(path)


def test_labels_of_a_header_that_names_a_file_elsewhere_are_refused(tmp_path):
    path = header_beside(tmp_path / "scans", "nhdr", "../x.raw")
    with pytest.raises(ScanlearnError, match="outside its folder"):
        read_seg_nrrd(path, like=None)


def header_beside(folder: Path, kind: str, name: str) -> Path:
    folder.mkdir()
    path = folder / f"a.{kind}"
    if kind == "mhd":
        path.write_text(
            "ObjectType = Image\nNDims = 3\nDimSize = 10 10 10\n"
            "ElementType = MET_UCHAR\nElementSpacing = 1 1 1\n"
            f"ElementDataFile = {name}\n"
        )
    else:
        path.write_text(
            "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 10 10 10\nencoding: raw\n"
            "space: left-posterior-superior\n"
            "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n"
            f"data file: {name}\n\n"
        )
    return path


@pytest.mark.parametrize("kind", ["mhd", "nhdr"])
@pytest.mark.parametrize("name", ["x.raw", "voxels/x.raw", "..x.raw"])
def test_a_header_that_names_a_file_beside_it_is_read(tmp_path, kind, name):
    path = header_beside(tmp_path / "scans", kind, name)
    data = path.parent / name
    data.parent.mkdir(exist_ok=True)
    np.arange(1000, dtype=np.uint8).tofile(data)
    (entry,) = find_scans(path)
    assert read_scan(entry).voxels.shape == (10, 10, 10)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of POSIX")
def test_a_data_file_that_is_a_pipe_does_not_wait_for_ever(tmp_path):
    path = header_beside(tmp_path / "scans", "mhd", "x.raw")
    os.mkfifo(path.parent / "x.raw")
    assert "no plain file" in opened(path)


@pytest.fixture
def zarr_image(tmp_path) -> Path:
    path = tmp_path / "scans" / "a.ome.zarr"
    write_ome_zarr(path, make_chest(3, 1, spacing_mm=(20, 20, 20)).scan)
    return path


def rewritten(path: Path, change: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_zarr_image_that_lies_is_refused(zarr_image):
    array = zarr_image / "0" / "zarr.json"
    rewritten(array, lambda c: c.update(shape=[100_000, 100_000, 100_000]))
    assert "bytes for its voxels" in opened(zarr_image)


def test_a_zarr_image_whose_array_lies_elsewhere_is_refused(zarr_image, tmp_path):
    shutil.copytree(zarr_image / "0", tmp_path / "scans" / "outside")

    def lead_away(content: dict) -> None:
        content.pop("consolidated_metadata", None)
        image = content["attributes"]["ome"]["multiscales"][0]
        image["datasets"][0]["path"] = "../outside"

    rewritten(zarr_image / "zarr.json", lead_away)
    assert "../outside is missing" in opened(zarr_image)


def test_deep_metadata_of_a_zarr_image_are_refused(zarr_image):
    (zarr_image / "zarr.json").write_text('{"a":' * 200_000)
    assert "cannot be read as OME-Zarr" in opened(zarr_image)


def test_an_array_that_lies_is_refused(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (10**6,) * 3}
        )
    assert "cannot be read as an array" in opened(tmp_path / "a.npy")


def table(path: Path, rows: int) -> Path:
    with path.open("w") as file:
        file.write("path,x,y,z,label\n")
        file.write("a.nii,1,2,3,x\n" * rows)
    (path.parent / "a.nii").touch()
    return path


def bounded(path: Path, *, seconds: float) -> str:
    begun = time.process_time()
    with pytest.raises(BadLabels) as found:
        read_table(path)
    assert time.process_time() - begun < seconds
    return str(found.value)


def test_a_table_of_millions_of_rows_is_refused_at_once(tmp_path):
    """Three million rows, 42 megabytes: refused in two seconds, before parsing."""
    told = bounded(table(tmp_path / "a.csv", 3_000_000), seconds=2)
    assert "3,000,001 rows" in told
    assert f"{MOST_ROWS:,}" in told


def test_a_table_of_a_million_columns_is_refused_at_once(tmp_path):
    header = ",".join(f"c{n}" for n in range(1_000_000))
    (tmp_path / "a.csv").write_text(f"path,{header}\na.nii\n")
    assert "1,000,001 columns" in bounded(tmp_path / "a.csv", seconds=2)


def test_a_table_of_gigabytes_is_not_even_read(tmp_path):
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(50_000_000_000)  # sparse: it takes no room
    assert "50,000 MB" in bounded(tmp_path / "a.csv", seconds=1)


def test_a_large_table_is_read_in_reasonable_time(tmp_path):
    """Thirty thousand marked points: some seconds."""
    begun = time.process_time()
    assert len(read_table(table(tmp_path / "a.csv", 30_000))) == 30_000
    assert time.process_time() - begun < MOST_SECONDS
