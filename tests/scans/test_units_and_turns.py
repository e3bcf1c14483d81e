"""Units of length, the turns of pictures and wrong names, varied."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan
from scanlearn.scans.units import millimetres

VOXELS = np.random.default_rng(0).integers(-900, 900, (6, 7, 8)).astype(np.int16)

#: How files spell a unit, and what it is.
SPELLINGS = {
    "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "Microns": 1e-3,
    "micrometers": 1e-3, "Micrometre": 1e-3, "mm": 1, "MM": 1, "millimeters": 1,
    "cm": 10, "Centimetre": 10, "m": 1000, "meters": 1000, "inches": 25.4, "nm": 1e-6,
}  # fmt: skip


def close(one: object, other: object) -> bool:
    return bool(np.allclose(np.array(one), np.array(other), rtol=1e-6))


@given(
    unit=st.sampled_from([*SPELLINGS, "", "pixel", "furlong"]),
    field=st.sampled_from(["space units", "units"]),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=80, deadline=None)
def test_lengths_of_nrrd_are_in_the_unit_it_states(
    unit: str, field: str, encoding: str, end: str
) -> None:
    if encoding == "latin-1" and "μ" in unit:
        return
    mm = SPELLINGS.get(unit)
    has_space = field == "space units"  # the other one cannot stand beside a space
    step = np.array([1.5, 2.0, 3.0]) / (mm or 1.0)
    place = np.array([-12.0, 10.0, -6.0]) / (mm or 1.0)
    three = " ".join(f'"{unit}"' for _ in range(3))
    lines = [
        "NRRD0004", "type: short", "dimension: 3", "endian: little", "encoding: raw",
    ]  # fmt: skip
    place_lines = [
        "space: left-posterior-superior",
        "space directions: ({:.9g},0,0) (0,{:.9g},0) (0,0,{:.9g})".format(*step),
        "space origin: ({:.9g},{:.9g},{:.9g})".format(*place),
    ]
    size_lines = ["spacings: {:.9g} {:.9g} {:.9g}".format(*step)]
    lines += place_lines[:1] if has_space else []
    lines += ["sizes: 8 7 6", "kinds: domain domain domain"]
    lines += place_lines[1:] if has_space else size_lines
    lines.append(f"{field}: {three}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.nrrd")
        header = end.join([*lines, "", ""]).encode(encoding)
        path.write_bytes(header + VOXELS.astype("<i2").tobytes())
        scan = read_scan(path)
        assert close(scan.grid.spacing_mm, (3, 2, 1.5))
        if has_space:
            assert close(scan.grid.affine[:3, 3], [-12, 10, -6])
        assert np.array_equal(scan.voxels, VOXELS)
        told = {problem.code for problem in scan.problems}
        assert ("unknown_unit" in told) == (mm is None and unit != "")
        assert close(find_scans(path)[0].spacing_mm, (3, 2, 1.5))


@pytest.mark.parametrize(
    ("unit", "mm"), [("um", 1e-3), ("cm", 10), ("mm", 1), ("?", 1)]
)
def test_lengths_of_metaimage_are_in_the_unit_it_states(
    tmp_path: Path, unit: str, mm: float
) -> None:
    image = SimpleITK.GetImageFromArray(VOXELS)
    image.SetSpacing((1.5, 2, 3))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    raw = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(
        raw.replace(b"NDims", f"DistanceUnits = {unit}\nNDims".encode())
    )
    assert close(
        read_scan(tmp_path / "a.mha").grid.spacing_mm, np.array([3, 2, 1.5]) * mm
    )


def test_a_header_without_the_patients_sides_is_told(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 8 7 6\nendian: little\n"
    header += "spacings: 1 1 2\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + VOXELS.tobytes())
    told = {problem.code for problem in read_scan(tmp_path / "a.nrrd").problems}
    assert "no_geometry" in told


@given(unit=st.sampled_from([*SPELLINGS]), blanks=st.text(" \t", max_size=2))
def test_spellings_of_units(unit: str, blanks: str) -> None:
    assert millimetres(blanks + unit.upper() + blanks) == SPELLINGS[unit]
    assert millimetres(f"{unit}2") is None


pictures = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))


@given(
    size=pictures,
    orientation=st.integers(0, 9),
    kind=st.sampled_from(["jpg", "png", "tif"]),
    mode=st.sampled_from(["L", "RGB", "I;16"]),
)
@settings(max_examples=120, deadline=None)
def test_pictures_lie_as_viewers_show_them(
    size: tuple[int, int, int], orientation: int, kind: str, mode: str
) -> None:
    rows, columns, seed = size
    if mode == "I;16" and kind == "jpg":
        return
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 60000 if mode == "I;16" else 255, (rows, columns))
    grey = grey.astype(np.uint16 if mode == "I;16" else np.uint8)
    picture = Image.fromarray(np.stack([grey] * 3, -1) if mode == "RGB" else grey)
    exif = Image.Exif()
    exif[0x0112] = orientation
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{kind}")
        picture.save(path, exif=exif, **({"quality": 100} if kind == "jpg" else {}))
        # Pillow's turning of pixels in memory is the oracle: of TIFF files it is wrong.
        if kind == "jpg":
            with Image.open(path) as stored:
                grey = np.asarray(stored.convert("L"))
        in_memory = Image.fromarray(grey)
        in_memory.getexif()[0x0112] = orientation
        shown = np.asarray(ImageOps.exif_transpose(in_memory))
        scan = read_scan(path)
        (entry,) = find_scans(path)
        assert scan.voxels.shape == entry.shape == (1, *shown.shape)
        assert np.abs(scan.voxels[0].astype(int) - shown.astype(int)).max() <= 1
        told = "turned" in {problem.code for problem in scan.problems}
        assert told == (2 <= orientation <= 8)
        assert told == ("turned" in {problem.code for problem in entry.problems})


def _bytes_of(kind: str, folder: Path) -> bytes:
    path = folder / f"source{kind}"
    if kind.startswith(".nii"):
        nib.save(nib.Nifti1Image(VOXELS, np.diag([1, 2, 3, 1.0])), path)
    elif kind in (".nrrd", ".mha", ".dcm"):
        flat = VOXELS[:1] if kind == ".dcm" else VOXELS
        image = SimpleITK.GetImageFromArray(flat[0] if kind == ".dcm" else flat)
        SimpleITK.WriteImage(image, str(path))
    elif kind == ".npy":
        np.save(path, VOXELS)
    else:
        Image.fromarray(VOXELS[0].astype(np.uint8)).save(path)
    return path.read_bytes()


FORMATS = [".nii", ".nii.gz", ".nrrd", ".mha", ".dcm", ".npy", ".png", ".jpg", ".tif"]


@pytest.mark.parametrize("held", FORMATS)
@pytest.mark.parametrize("named", FORMATS)
def test_a_wrong_name_is_read_or_told_with_the_right_one(
    tmp_path: Path, held: str, named: str
) -> None:
    content = _bytes_of(held, tmp_path)
    folder = tmp_path / "named"
    folder.mkdir()
    path = folder / f"patient-1{named}"
    path.write_bytes(content)
    try:
        assert read_scan(path).voxels.size >= 56
        return
    except BadScan as error:
        text = str(error)
    if named == ".dcm":
        return  # DICOM has words of its own
    right = f"patient-1{held}"
    if held == ".nii.gz":
        assert "compressed by gzip" in text
        if named != ".nii":
            return
    assert f"Rename it to {right}" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\0" * 4000, "zeros"),
        (b"version https://git-lfs.github.com/spec/v1\noid x\n", "git lfs pull"),
        (b"/annex/objects/MD5E-s1--x.nii.gz", "git annex get"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"PK\x03\x04" + b"x" * 100, "ZIP"),
        (b"%PDF-1.4", "PDF"),
    ],
)
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.png", "a.npy"])
def test_what_is_no_image_is_called_by_its_name(
    tmp_path: Path, content: bytes, words: str, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadScan, match=words):
        read_scan(tmp_path / name)


def test_a_broken_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").symlink_to(".git/annex/objects/x/y.nii.gz")
    (entry,) = find_scans(tmp_path)
    assert "is a link to" in entry.error
    assert "git annex get" in entry.error


def test_a_gzip_file_that_ends_early_is_told(tmp_path: Path) -> None:
    content = gzip.compress(_bytes_of(".nii", tmp_path))
    (tmp_path / "source.nii").unlink()
    (tmp_path / "a.nii.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadScan, match=r"a\.nii\.gz"):
        read_scan(tmp_path / "a.nii.gz")


@given(
    name=st.sampled_from(
        [b"NDims", b"DimSize", b"Offset", b"ElementSpacing", b"TransformMatrix"]
    ),
    words=st.lists(
        st.sampled_from(["-1", "0", "3", "1e9", "99999999999", "nan", "x", "1"]),
        max_size=10,
    ),
)
@settings(max_examples=80, deadline=None)
def test_impossible_headers_of_metaimage_are_refused(
    name: bytes, words: list[str]
) -> None:
    """MetaIO would end the whole program on some of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.mha")
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOXELS), str(path))
        lines = path.read_bytes().split(b"\n", 14)
        changed = [
            name + b" = " + " ".join(words).encode() if line.startswith(name) else line
            for line in lines
        ]
        path.write_bytes(b"\n".join(changed))
        (entry,) = find_scans(path)
        # A header may promise less than its file holds.
        sizes = range(1, VOXELS.size + 1)
        assert entry.error.startswith(str(path)) or read_scan(path).voxels.size in sizes
