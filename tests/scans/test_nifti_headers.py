"""Fields of NIfTI headers, varied: right by an independent reading, or told."""

from __future__ import annotations

import gzip
import struct
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Scan

RAS = np.array([[-1.5, 0, 0, 12], [0, 2.0, 0, -10], [0, 0, 3.0, -6], [0, 0, 0, 1.0]])
VOXELS = np.random.default_rng(0).integers(-900, 900, (6, 7, 8)).astype(np.int16)

#: Where fields lie in the header, and how they are packed.
UNITS, SCALE, FORMS = (123, "<b"), (112, "<ff"), (252, "<hh")
QUATERNION, SFORM, SIZES = (256, "<ffffff"), (280, "<12f"), (76, "<8f")


def file_with(path: Path, *fields: tuple[tuple[int, str], tuple[float, ...]]) -> Path:
    image = nib.Nifti1Image(VOXELS, RAS)
    image.set_qform(RAS, 1)
    image.set_sform(RAS, 1)
    nib.save(image, path)
    raw = bytearray(path.read_bytes())
    for (offset, packing), values in fields:
        struct.pack_into(packing, raw, offset, *values)
    path.write_bytes(raw)
    return path


def read_or_refusal(path: Path) -> Scan | str:
    try:
        return read_scan(path)
    except BadScan as error:
        return str(error)


def warnings_of(path: Path) -> set[str]:
    scan = read_scan(path)
    assert {p.code for p in find_scans(path)[0].problems} <= {
        p.code for p in scan.problems
    }
    return {problem.code for problem in scan.problems if problem.severity != "note"}


@given(code=st.integers(0, 127))
@settings(max_examples=60, deadline=None)
def test_units_of_length_are_honoured_or_told(code: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = file_with(Path(folder, "a.nii"), (UNITS, (code,)))
        known = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}.get(code & 7)
        assert read_scan(path).grid.spacing_mm == pytest.approx(
            np.array([1.5, 2, 3]) * (known or 1.0)
        )
        told = warnings_of(path)
        assert ("unknown_unit" in told) == (known is None)
        assert ("doubtful_size" in told) == (known in (1000.0, 0.001))


slopes = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, float("nan"), float("inf")]),
    st.floats(-8, 8, width=32),
)


@given(slope=slopes, shift=slopes)
@settings(max_examples=80, deadline=None)
def test_scaling_is_the_standards_or_refused(slope: float, shift: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = file_with(Path(folder, "a.nii"), (SCALE, (slope, shift)))
        scan = read_or_refusal(path)
        if isinstance(scan, str):
            assert not (np.isfinite(slope) and np.isfinite(shift))
            assert "a.nii" in scan
            return
        used = bool(np.isfinite(slope) and slope)
        right = VOXELS.astype(np.float64) * slope + shift if used else VOXELS
        assert np.allclose(scan.voxels, right, rtol=1e-5, atol=1e-4)
        dropped = not used and np.isfinite(shift) and shift != 0
        assert ("offset_unused" in warnings_of(path)) == bool(dropped)


matrices = st.sampled_from(["sound", "zero", "flat", "nan", "other"])


@given(sform=matrices, qform=matrices, codes=st.tuples(*[st.integers(0, 4)] * 2))
@settings(max_examples=80, deadline=None)
def test_a_broken_form_gives_way_to_a_sound_one(
    sform: str, qform: str, codes: tuple[int, int]
) -> None:
    """The codes are those of qform and sform, in the order of the header."""
    matrix = {
        "sound": RAS,
        "zero": np.zeros((4, 4)),
        "flat": np.diag([1.5, 2, 0, 1]),
        "nan": RAS * float("nan"),
        "other": np.diag([1.5, 2, 3, 1.0]),
    }
    quaternion = {
        "sound": (0, 1, 0, 12, -10, -6),
        "zero": (2, 2, 2, 0, 0, 0),
        "flat": (1, 1, 1, 0, 0, 0),
        "nan": (float("nan"),) * 6,
        "other": (0, 0, 0, 0, 0, 0),
    }
    handed = 1.0 if qform == "other" else -1.0
    fields = [
        (FORMS, codes),
        (SFORM, tuple(matrix[sform][:3].ravel())),
        (QUATERNION, quaternion[qform]),
        (SIZES, (handed, 1.5, 2, 3, 1, 1, 1, 1)),
    ]
    usable = {"sound", "other"}
    with tempfile.TemporaryDirectory() as folder:
        path = file_with(Path(folder, "a.nii"), *fields)
        stated = [(sform, codes[1]), (qform, codes[0])]
        sound = [name for name, code in stated if code and name in usable]
        broken = [name for name, code in stated if code and name not in usable]
        scan = read_or_refusal(path)
        if isinstance(scan, str):
            assert not sound
            assert broken
            assert "a.nii" in scan
            return
        told = warnings_of(path)
        if sound:
            expected = nib.Nifti1Image(VOXELS, matrix[sound[0]])
            lps = np.diag([-1, -1, 1, 1]) @ expected.affine
            assert np.allclose(scan.grid.affine, lps, atol=1e-4)
            disagree = len(sound) == 2 and sound[0] != sound[1]
            assert ("forms_disagree" in told) == (bool(broken) or disagree)
        else:
            assert "no_geometry" in told


@given(sizes=st.lists(st.integers(-1, 32767), min_size=1, max_size=7))
@settings(max_examples=80, deadline=None)
def test_sizes_that_lie_are_refused_at_once(sizes: list[int]) -> None:
    """A small file that promises a large volume, packed or not, is named."""
    dims = [len(sizes), *sizes, *[1] * (7 - len(sizes))]
    with tempfile.TemporaryDirectory() as folder:
        plain = file_with(Path(folder, "a.nii"), ((40, "<8h"), tuple(dims)))
        packed = Path(folder, "b.nii.gz")
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        for path in (plain, packed):
            right = np.prod(np.maximum(sizes, 0), dtype=float) <= VOXELS.size
            if right and min(sizes) > 0:
                read_scan(path)
                continue
            with pytest.raises(BadScan, match=path.name):
                read_scan(path)


def test_a_kilobyte_of_promises(tmp_path: Path) -> None:
    path = file_with(tmp_path / "a.nii", ((40, "<8h"), (3, *[32767] * 3, 1, 1, 1, 1)))
    packed = tmp_path / "huge.nii.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()[:1000]))
    with pytest.raises(
        BadScan, match=r"huge\.nii\.gz is truncated, or .*70,362,\d+|memory"
    ):
        read_scan(packed)


def test_one_slice_volumes_are_called_so(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VOXELS[:, :, None, :], RAS)
    nib.save(image, tmp_path / "a.nii.gz")
    (problem,) = [
        p for p in read_scan(tmp_path / "a.nii.gz").problems if p.code == "4d"
    ]
    assert "8 volumes of one slice each" in problem.text
    assert "third dimension" in problem.action


@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_keeps_its_values(tmp_path: Path, dtype: str, order: str) -> None:
    kind = np.dtype(order + dtype)
    values = np.clip(VOXELS, 0 if "u" in dtype else -100, 100).astype(kind)
    image = nib.Nifti1Image(values, RAS, dtype=kind)
    image = nib.Nifti1Image(values, RAS, image.header.as_byteswapped(order))
    nib.save(image, tmp_path / "a.nii")
    assert np.array_equal(read_scan(tmp_path / "a.nii").voxels, values)
