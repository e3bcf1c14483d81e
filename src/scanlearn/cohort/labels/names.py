"""File names of scans and of the label maps that belong to them."""

from __future__ import annotations

import re
from pathlib import Path

from scanlearn.scans.formats import stem_of as stem_of

_WORD = r"(labels?|label[_-]?map|seg|segmentations?|mask)"
_LABEL = re.compile(rf"[._ -]{_WORD}$", re.IGNORECASE)
_PLAIN = re.compile(rf"{_WORD}([._ -]{_WORD})*", re.IGNORECASE)


def scan_stem_of(path: Path) -> str:
    """Return the stem of the scan that a label file is named after."""
    return _LABEL.sub("", stem_of(path))


def is_label_name(path: Path) -> bool:
    """Whether a file is named like the label map of a scan."""
    return _LABEL.search(stem_of(path)) is not None


def is_plain_label_name(path: Path) -> bool:
    """Whether a file's name says that it holds labels, and nothing else."""
    return _PLAIN.fullmatch(stem_of(path)) is not None
