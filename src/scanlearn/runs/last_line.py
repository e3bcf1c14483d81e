"""The newest line of a file that only grows, without reading all of it."""

from __future__ import annotations

import os
from pathlib import Path

_REACH = 65536


def last_line(file: Path) -> bytes:
    """Return the last whole line that is not empty; nothing where there is none."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        reach = _REACH
        while True:
            stream.seek(max(0, size - reach))
            lines = stream.read().split(b"\n")
            # The last has no end yet; of the first, the beginning may be missing.
            whole = [line for line in lines[reach < size : -1] if line]
            if whole or reach >= size:
                return whole[-1] if whole else b""
            reach *= 8
