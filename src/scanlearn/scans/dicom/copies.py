"""Copies of an image: files that hold the same slice again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.pixel_data import read_slices
from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.scan import Problem

_PIXEL_DATA = b"\xe0\x7f\x10\x00"


def without_copies(
    group: list[SliceHeader],
) -> tuple[list[SliceHeader], list[Problem]]:
    """Drop files that hold the same image as another.

    Copies have the same place and the same pixels, and the same SOP instance UID or
    else the same number and tags. The UID alone does not make a copy: some programs
    write one for all; nor does another UID make another image: some make up new ones.
    """
    by_uid, by_tags = _alike(group, _uid), _alike(group, _tags)
    if not by_uid and not by_tags:
        return group, []
    dropped: set[int] = set()
    for alike in (*by_uid, *by_tags):
        dropped |= _copies([h for h in alike if id(h) not in dropped])
    kept = [header for header in group if id(header) not in dropped]
    shared = sum(map(len, _alike(kept, _uid)))
    return kept, [*_told_copies(len(dropped)), *_told_uids(shared)]


def _uid(header: SliceHeader) -> object:
    return header.sop_uid or header.path, header.frame


def _tags(header: SliceHeader) -> object:
    if header.number is None:
        return id(header)
    return header.position, header.number, header.frame, header.phase


def _alike(
    group: list[SliceHeader], key: Callable[[SliceHeader], object]
) -> list[list[SliceHeader]]:
    """Return the images that share a key with others."""
    found: dict[object, list[SliceHeader]] = defaultdict(list)
    for header in group:
        found[key(header)].append(header)
    return [alike for alike in found.values() if len(alike) > 1]


def _copies(alike: list[SliceHeader]) -> set[int]:
    """Return which of the images are copies of an earlier one."""
    firsts: dict[object, list[SliceHeader]] = defaultdict(list)
    dropped = set()
    for header in alike:
        known = firsts[header.position, header.orientation]
        if any(_same_pixels(header, other) for other in known):
            dropped.add(id(header))
        else:
            known.append(header)
    return dropped


def _same_pixels(one: SliceHeader, other: SliceHeader) -> bool:
    if _pixels(one) == _pixels(other):
        return True
    # The same image may lie there in two compressions.
    if not (one.is_compressed or other.is_compressed):
        return False
    if (one.rows, one.columns) != (other.rows, other.columns):
        return False
    try:
        return np.array_equal(read_slices([one]), read_slices([other]))
    except BadScan:
        return False


def _pixels(header: SliceHeader) -> bytes:
    """Return the bytes of an image's pixels, compressed as they are."""
    if header.pixel_offset >= 0:
        with Path(header.path).open("rb") as file:
            file.seek(header.pixel_offset)
            return file.read(header.frame_bytes)
    whole = Path(header.path).read_bytes()
    return whole[max(0, whole.rfind(_PIXEL_DATA)) :]


def _told_copies(count: int) -> list[Problem]:
    if not count:
        return []
    noun = "file holds" if count == 1 else "files hold"
    text = f"{count} {noun} an image that is there already and was left out"
    return [Problem("copies", "note", text)]


def _told_uids(count: int) -> list[Problem]:
    if not count:
        return []
    text = (
        f"{count} images share their SOPInstanceUID with others; they were told apart "
        "by their places and pixels"
    )
    action = "Labels that name images by it (DICOM-SEG, RT-STRUCT) may not be placed"
    return [Problem("shared_sop_uid", "warning", text, action)]
