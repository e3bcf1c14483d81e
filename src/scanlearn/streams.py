"""Standard streams that may lead nowhere: a full disk, a pipe whose reader has gone."""

from __future__ import annotations

import io
import os
import sys
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Heedless(io.FileIO):
    """A file that drops what cannot be written, and keeps the first reason."""

    def __init__(self, descriptor: int, *, ends_with_reader: bool = False) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.problem: OSError | None = None
        self._ends_with_reader = ends_with_reader

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes, or say that they were."""
        try:
            return super().write(data)
        except OSError as error:
            if self._ends_with_reader and isinstance(error, BrokenPipeError):
                raise
            self.problem = self.problem or error
            return memoryview(data).nbytes


def make_heedless(
    name: Literal["stdout", "stderr"], *, ends_with_reader: bool = False
) -> Heedless | None:
    """Let what is printed to a standard stream never end the work.

    Parameters
    ----------
    name
        Which of them.
    ends_with_reader
        Whether a pipe whose reader has gone is an error all the same.

    Returns
    -------
    Heedless or None
        What it writes to now; None where another program has put its own in its place.
    """
    stream: IO[str] | None = getattr(sys, name)
    if stream is None:  # closed by whoever started this process
        setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        return None
    if not isinstance(stream, io.TextIOWrapper) or stream is not _first(name):
        return None
    if sys.platform == "win32" and stream.isatty():
        return None  # a console of Windows is no file, and is never full
    stream.flush()
    heedless = Heedless(stream.fileno(), ends_with_reader=ends_with_reader)
    setattr(
        sys,
        name,
        io.TextIOWrapper(
            io.BufferedWriter(heedless),
            encoding=stream.encoding,
            # A file's name may hold what the terminal cannot show.
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        ),
    )
    return heedless


def _first(name: str) -> object:
    return getattr(sys, f"__{name}__")
