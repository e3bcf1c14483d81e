"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

#: Pattern of unfinished files, left behind only by a process that was killed.
UNFINISHED = ".*.part.*"

#: Of a name of at most 255 bytes, this much is left beside a process's number.
_LONGEST_BYTES = 230


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; rename it when the block succeeds.

    The name keeps the suffixes, by which libraries choose a format. If the block fails,
    what it wrote is removed and a file already at ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = unfinished(path)
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """As :func:`written_beside`, for a folder; one already at ``path`` is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = unfinished(path)
    try:
        yield beside
        if path.exists():
            shutil.rmtree(path)
        os.replace(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def unfinished(path: Path) -> Path:
    """Return the name beside ``path`` under which this process may write.

    It is no longer than file systems allow.
    """
    # The end is kept: libraries choose a format by it.
    kept = os.fsencode(path.name)[-_LONGEST_BYTES:].decode("utf-8", "ignore")
    return path.with_name(f".{os.getpid()}.part.{kept}")


def sweep(folder: Path, *, deep: bool = False) -> None:
    """Remove what processes that are gone left unfinished in a folder.

    ``deep`` looks in the folders within, too. What a process that lives is writing
    stays, and so does what a process of the same number left: until the next time.
    """
    for part in list(folder.rglob(UNFINISHED) if deep else folder.glob(UNFINISHED)):
        number = part.name.split(".")[1]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")
