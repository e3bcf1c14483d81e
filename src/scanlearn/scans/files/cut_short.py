"""Compressed files that break off, told without unpacking those that are whole."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

from scanlearn.errors import BadScan

#: What unpacking raises where a file ends too early.
BROKEN_OFF = (EOFError, zlib.error, gzip.BadGzipFile)

_AT_ONCE = 1 << 22


def cut_short() -> BadScan:
    """Return what is said of a file that breaks off."""
    return BadScan(
        "The file is cut short or damaged",
        expected="a complete file",
        next_step="Copy it again from where it came, or leave it out",
    )


def refuse_cut_short(path: Path) -> None:
    """Refuse a compressed NIfTI file that ends before its voxels do.

    A gzip file ends with the number of bytes that it unpacks to. Where that is what the
    header promises, the file is whole; else it is unpacked to see.

    Raises
    ------
    BadScan
        It breaks off, or its bytes are damaged.
    """
    if path.suffix.lower() != ".gz" or _promised(path) == _stated(path):
        return
    try:
        with gzip.open(path) as stream:
            while stream.read(_AT_ONCE):
                pass
    except BROKEN_OFF:
        raise cut_short() from None


def _promised(path: Path) -> int | None:
    """Return how many bytes a file should unpack to, modulo 2^32; None if not known."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nib.load(path)
    except (ImageFileError, EOFError, OSError, zlib.error):
        return None
    voxels = math.prod(image.shape) * image.get_data_dtype().itemsize
    return int(image.dataobj.offset + voxels) % (1 << 32)


def _stated(path: Path) -> int:
    with path.open("rb") as stream:
        stream.seek(-4, 2)
        return int(struct.unpack("<I", stream.read(4))[0])
