"""Where the pixel bytes of a DICOM file lie, and whether they are all there."""

from __future__ import annotations

from typing import BinaryIO, Literal

_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_UNDEFINED = 0xFFFFFFFF
TRUNCATED = "is truncated: its pixels are not all there"
_NO_PIXELS = "has no pixel data"
_FLOAT_PIXEL_DATA = (b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00")


def find_pixels(file: BinaryIO, size: int, *, deflated: bool) -> tuple[int, int, str]:
    """Return where the pixel bytes start, how many there are, and what is wrong.

    Both numbers are -1 where the bytes cannot be taken as they lie.
    """
    here = file.tell()
    element = file.read(12)
    if len(element) < 8:
        return -1, -1, "" if deflated else _NO_PIXELS
    if element[:4] not in _PIXEL_DATA:
        is_float = element[:4] in _FLOAT_PIXEL_DATA
        return -1, -1, "has floating-point pixels" if is_float else _NO_PIXELS
    order: Literal["little", "big"] = "big"
    if element[:4] == _PIXEL_DATA[0]:
        order = "little"
    if element[4:6] in (b"OW", b"OB", b"UN"):
        offset, length = here + 12, int.from_bytes(element[8:12], order)
    else:
        offset, length = here + 8, int.from_bytes(element[4:8], order)
    if length == _UNDEFINED:
        complete = _fragments_are_complete(file, offset, size)
        return -1, -1, "" if complete else TRUNCATED
    return offset, length, TRUNCATED if offset + length > size else ""


def _fragments_are_complete(file: BinaryIO, offset: int, size: int) -> bool:
    """Walk over compressed fragments to their delimiter."""
    while offset + 8 <= size:
        file.seek(offset)
        item = file.read(8)
        if item[:4] == _DELIMITER:
            return True
        if item[:4] != _ITEM:
            return False
        offset += 8 + int.from_bytes(item[4:8], "little")
    return False
