"""Sizes that a header promises and neither its file nor the memory can hold."""

from __future__ import annotations

from pathlib import Path

import psutil

from scanlearn.errors import BadScan
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Problem

#: No file can be unpacked to more than this times its size by gzip or zlib.
_MOST_PACKED = 1032


#: A body is longer than this, and a scan shorter than that, in millimetres.
_SIDES_MM = (2.0, 4000.0)


def refuse_short_file(path: Path, needed: int, held: int, *, packed: bool) -> None:
    """Refuse a file whose header promises more bytes of voxels than it can hold.

    Parameters
    ----------
    path
        The file.
    needed
        Bytes of voxels that its header promises.
    held
        Bytes of the file or files that hold them.
    packed
        Whether they may be compressed.

    Raises
    ------
    BadScan
        There are too few.
    """
    if needed > held * (_MOST_PACKED if packed else 1):
        raise BadScan(
            f"{path} is truncated, or its header is wrong: it promises "
            f"{needed:,} bytes of voxels, and the file has {held:,}",
            expected="a complete file",
            next_step="Copy the file again from where it came from, or take it out",
        )


def refuse_too_large(path: Path, needed: int) -> None:
    """Refuse a scan that needs more bytes than this machine has free memory.

    Raises
    ------
    BadScan
        It needs more.
    """
    memory = psutil.virtual_memory().available
    if needed > memory:
        raise BadScan(
            f"{path} needs {needed:,} bytes for its voxels, and this machine has "
            f"{memory:,} bytes of memory free",
            expected="a scan that fits into memory",
            next_step="Check its size and its unit of length; crop it, close other "
            "programs, or use a machine with more memory, if they are right",
        )


def doubtful_size(path: Path, grid: Grid) -> list[Problem]:
    """Return a warning where sides so short or long speak for another unit of length.

    A radiograph or a single slice is measured along its longer sides alone.
    """
    sides = [n * mm for n, mm in zip(grid.shape, grid.spacing_mm, strict=True)]
    longest, shortest = max(sides), sorted(sides)[-2]
    if _SIDES_MM[0] <= shortest and longest <= _SIDES_MM[1]:
        return []
    size = " x ".join(f"{side:.4g}" for side in sides)
    text = f"{path.name} would be {size} mm large: its unit of length is doubtful"
    action = "Correct the unit in the program that wrote the file"
    return [Problem("doubtful_size", "warning", text, action)]
