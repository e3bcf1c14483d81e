"""The pixels of a DICOM segmentation's frames, checked against their number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadLabels
from scanlearn.scans.labels.label_arrays import Note

#: What writers append to make the length even.
_FILLERS = (b"", b"\0", b"0", b" ")

_PADDED = "each frame begins on a whole byte, against the standard; read so"
_ALL_OR_NOTHING = "fractions that are all 0 or the whole were read as a binary mask"


def read_frames(
    dataset: Any, shape: tuple[int, int], name: str
) -> tuple[NDArray[Any], tuple[Note, ...]]:
    """Return the pixels (frames, rows, columns), and what was decided about them.

    Raises
    ------
    BadLabels
        If they are more or fewer than the frames need, or are fractions.
    ValueError
        If they cannot be decoded.
    """
    count = int(dataset.NumberOfFrames)
    notes: tuple[Note, ...] = ()
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        pixels = np.asarray(dataset.pixel_array).reshape(count, *shape)
    elif int(dataset.BitsAllocated) == 1:
        pixels, notes = _unpacked(bytes(dataset.PixelData), count, shape, name)
    else:
        depth = int(dataset.BitsAllocated) // 8
        _check_length(len(dataset.PixelData), count * shape[0] * shape[1] * depth, name)
        pixels = np.asarray(dataset.pixel_array).reshape(count, *shape)
    if dataset.SegmentationType != "FRACTIONAL":
        return pixels, notes
    return pixels, (*notes, *_check_fractions(dataset, pixels, name))


def _unpacked(
    packed: bytes, count: int, shape: tuple[int, int], name: str
) -> tuple[NDArray[np.uint8], tuple[Note, ...]]:
    """Unpack single bits: by the standard one run over all frames (PS3.5, 8.1.1).

    Some writers begin every frame on a whole byte. That is told by the length, and
    where both come to the same, by what lies behind the run.
    """
    size = shape[0] * shape[1]
    run, padded = -(-count * size // 8), count * -(-size // 8)
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    is_run = len(packed) in (run, _even(run))
    is_padded = run != padded and len(packed) in (padded, _even(padded))
    if not is_run and not is_padded:
        _check_length(len(packed), run, name)
    if is_run and not (is_padded and packed[run:] not in _FILLERS):
        return bits[: count * size].reshape(count, *shape), ()
    apart = bits[: padded * 8].reshape(count, -1)[:, :size]
    return apart.reshape(count, *shape), (Note(_PADDED),)


def _check_length(found: int, needed: int, name: str) -> None:
    if found not in (needed, _even(needed)):
        raise BadLabels(
            f"{name} holds {found} bytes of pixels, but its frames need {needed}",
            expected="as many pixels as rows, columns and frames say",
            next_step="Export it again: masks of such a file may drift from frame to "
            "frame.",
        )


def _even(length: int) -> int:
    return length + length % 2


def _check_fractions(dataset: Any, pixels: NDArray[Any], name: str) -> tuple[Note, ...]:
    whole = int(dataset.get("MaximumFractionalValue") or 255)
    if np.isin(pixels, (0, whole)).all():
        return (Note(_ALL_OR_NOTHING),)
    between = pixels[(pixels > 0) & (pixels != whole)]
    raise BadLabels(
        f"{name} holds fractions (probabilities), such as {int(between[0])} of {whole}",
        expected="a binary segmentation or a label map",
        next_step="Export it as a binary segmentation.",
    )
