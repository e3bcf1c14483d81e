"""What a file is by its first bytes, and why one of another name cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scanlearn.errors import BadScan
from scanlearn.scans.formats import format_of, stem_of

#: Enough for all signatures; the latest is NIfTI's, behind its 344 bytes of header.
_BYTES = 540

_EXPORT = "Export it from the program that it belongs to, as NIfTI or DICOM"
_AGAIN = "Copy the file again from where it came from, or take it out"


@dataclass(frozen=True)
class Signature:
    """What begins with certain bytes, the ending it should have, else what to do."""

    name: str
    start: bytes
    offset: int = 0
    ending: str = ""
    next_step: str = ""


_SIGNATURES = (
    Signature("DICOM", b"DICM", 128, ".dcm"),
    Signature("NIfTI", b"n+1\0", 344, ".nii"),
    Signature("NIfTI", b"n+2\0", 4, ".nii"),
    Signature("the header of a NIfTI pair", b"ni1\0", 344, ".hdr"),
    Signature("the header of a NIfTI pair", b"ni2\0", 4, ".hdr"),
    Signature("NRRD", b"NRRD", 0, ".nrrd"),
    Signature("MetaImage", b"ObjectType", 0, ".mha"),
    Signature("MetaImage", b"NDims", 0, ".mha"),
    Signature("a PNG picture", b"\x89PNG\r\n", 0, ".png"),
    Signature("a JPEG picture", b"\xff\xd8\xff", 0, ".jpg"),
    Signature("a TIFF picture", b"II*\0", 0, ".tif"),
    Signature("a TIFF picture", b"MM\0*", 0, ".tif"),
    Signature("a NumPy array", b"\x93NUMPY", 0, ".npy"),
    Signature(
        "a pointer of Git LFS, not the data",
        b"version https://git-lfs",
        0,
        "",
        "Fetch the data with 'git lfs pull'",
    ),
    Signature(
        "a pointer of git-annex, not the data",
        b"/annex/objects/",
        0,
        "",
        "Fetch the data with 'git annex get' or 'datalad get'",
    ),
    Signature("a web page, of a download that failed", b"<!DOCTYPE", 0, "", _AGAIN),
    Signature("a web page, of a download that failed", b"<html", 0, "", _AGAIN),
    Signature(
        "a ZIP archive (or an Excel workbook)",
        b"PK\x03\x04",
        0,
        "",
        "Unpack it; save a workbook as 'CSV UTF-8'",
    ),
    Signature(
        "an old Excel workbook", b"\xd0\xcf\x11\xe0", 0, "", "Save it as 'CSV UTF-8'"
    ),
    Signature("a 7-Zip archive", b"7z\xbc\xaf\x27\x1c", 0, "", "Unpack it"),
    Signature("compressed by bzip2", b"BZh", 0, "", "Unpack it"),
    Signature("compressed by xz", b"\xfd7zXZ", 0, "", "Unpack it"),
    Signature("compressed by zstd", b"\x28\xb5\x2f\xfd", 0, "", "Unpack it"),
    Signature("HDF5 (MINC, MATLAB and others)", b"\x89HDF\r\n", 0, "", _EXPORT),
    Signature("a MATLAB file", b"MATLAB", 0, "", _EXPORT),
    Signature("a PDF document", b"%PDF", 0, "", _EXPORT),
)
_GZIP = b"\x1f\x8b"


def _signature(start: bytes) -> Signature | None:
    for known in _SIGNATURES:
        if start[known.offset :].startswith(known.start):
            return known
    return None


def unreadable(path: Path, why: str, *, what: str, expected: str) -> BadScan:
    """Return the refusal of a file that its reader cannot read, with the real cause.

    Parameters
    ----------
    path
        The file.
    why
        The reader's own words, told where the first bytes tell no other cause.
    what
        What it was read as.
    expected
        What would have been right.
    """
    cause, next_step = cause_of(path)
    return BadScan(
        f"{path} cannot be read as {what}: {cause or why}",
        expected=expected,
        next_step=next_step or _AGAIN,
    )


def cause_of(path: Path) -> tuple[str, str]:
    """Return what a file really is, and what to do; empty where that is unknown."""
    if path.is_dir():
        return "", ""
    if path.is_symlink() and not path.exists():
        missing = f"it is a link to {path.readlink()}, which is not there"
        return missing, "Fetch what it points to ('git annex get', 'datalad get')"
    try:
        with path.open("rb") as file:
            start = file.read(_BYTES)
    except PermissionError:
        return "there is no permission to read it", "Ask for the right to read it"
    except OSError as error:
        return error.strerror or str(error), ""
    header = path.with_suffix(".hdr")
    if path.suffix.lower() == ".img" and header.is_file():
        return "it holds the voxels of a header beside it", f"Choose {header.name}"
    if not start:
        return "it is empty (0 bytes)", ""
    if not start.strip(b"\0"):
        return "it begins with zeros alone, as copies that broke off do", ""
    return _misnamed(path, start)


def _misnamed(path: Path, start: bytes) -> tuple[str, str]:
    """Return what a file is whose name tells something else."""
    if start.startswith(_GZIP):
        if path.name.lower().endswith(".gz"):
            return "", ""
        right = path.with_name(f"{path.name}.gz")
        advice = (
            "Unpack it" if format_of(right) is None else f"Rename it to {right.name}"
        )
        return "it is compressed by gzip", advice
    known = _signature(start)
    if known is None or not known.ending:
        return (f"it is {known.name}", known.next_step) if known else ("", "")
    right = path.with_name(stem_of(path) + known.ending)
    named, meant = format_of(path), format_of(right)
    if named == meant and not path.name.lower().endswith(".gz"):
        return "", ""
    plain = ", not compressed" if path.name.lower().endswith(".gz") else ""
    return f"it is {known.name}{plain}", f"Rename it to {right.name}"
