"""Writing files so that they are whole or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Unfinished files end like this; no reader of a cohort looks at them.
PART = ".part"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name beside a file to write to; the file appears when all went well."""
    part = path.with_name(f".{path.name}{PART}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")
