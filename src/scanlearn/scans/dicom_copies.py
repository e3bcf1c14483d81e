"""Copies of an image: files that hold the same slice again."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from scanlearn.scans.dicom_slice import SliceHeader
from scanlearn.scans.scan import Problem

_PIXEL_DATA = b"\xe0\x7f\x10\x00"


def without_copies(
    group: list[SliceHeader],
) -> tuple[list[SliceHeader], list[Problem]]:
    """Drop files that hold the same image as another.

    Copies state the same SOP instance UID, lie at the same place and have the same
    pixels. The UID alone does not make a copy: some programs write one for all.
    """
    stated: dict[tuple[str, int], list[SliceHeader]] = defaultdict(list)
    for header in group:
        stated[header.sop_uid or str(header.path), header.frame].append(header)
    if len(stated) == len(group):
        return group, []
    dropped: set[int] = set()
    for alike in stated.values():
        dropped |= _copies(alike)
    kept = [header for header in group if id(header) not in dropped]
    left = Counter((h.sop_uid or str(h.path), h.frame) for h in kept)
    shared = sum(count for count in left.values() if count > 1)
    return kept, [*_told_copies(len(dropped)), *_told_uids(shared)]


def _copies(alike: list[SliceHeader]) -> set[int]:
    """Return which of the images with one identifier are copies of an earlier one."""
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
    return _pixels(one) == _pixels(other)


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
