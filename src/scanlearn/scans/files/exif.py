"""How a picture asks to be turned (EXIF orientation), and pixels as viewers show them.

The eight orientations are those of tag 274 of EXIF and TIFF.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

#: The pixels lie as they are shown.
UPRIGHT = 1


def orientation_of(image: Any) -> int:
    """Return the orientation, 1 to 8, that an opened picture states; 1 without one.

    The pixels are not decoded for it, unless a PNG file keeps it behind them.
    """
    try:
        if image.format == "TIFF":
            stated = image.tag_v2.get(ExifTags.Base.Orientation)
        elif image.format == "PNG" and not _has_chunk(image, b"eXIf"):
            stated = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
        else:
            stated = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - damaged notes about a picture do not spoil it
        return UPRIGHT
    return stated if isinstance(stated, int) and 1 <= stated <= 8 else UPRIGHT


def swaps_sides(orientation: int) -> bool:
    """Whether rows become columns."""
    return orientation >= 5


def turned(pixels: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """Return pixels (rows, columns, …) as a viewer shows them."""
    if swaps_sides(orientation):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _has_chunk(image: Any, kind: bytes) -> bool:
    """Whether a PNG file has a chunk of a kind; only the chunks' heads are read."""
    with open(image.filename, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, found = struct.unpack(">I4s", head)
            if found == kind:
                return True
            file.seek(length + 4, 1)
    return False
