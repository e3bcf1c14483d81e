"""Stored values turned into what they stand for, exactly or not at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.slice_header import SliceHeader

_INT16 = np.iinfo(np.int16)


class DoesNotFit(Exception):
    """A value left the range of int16."""


def rescale(
    stored: NDArray[np.generic], out: NDArray[np.generic], header: SliceHeader
) -> None:
    """Write stored values, rescaled, to ``out``; they may share their memory.

    Raises
    ------
    DoesNotFit
        ``out`` is int16, and a value is none.
    BadScan
        The header names other bits than those that are used.
    """
    if not stored.dtype.isnative:
        stored = stored.astype(stored.dtype.newbyteorder("="))
    rule = header.rule
    if rule.shift:
        stored = _shifted_down(stored, header)
    stored = _without_unused_bits(stored, header)
    if rule.lookup is not None:
        store_exact(rule.lookup(stored), out)
    elif out.dtype == np.int16 and rule.slope == 1 and stored.dtype.itemsize == 2:
        _check_range(stored, header)
        # Two's complement: 16-bit sums are right whenever the true value fits.
        shift = np.array(int(rule.intercept)).astype(np.int16)
        np.add(stored.view(np.int16), shift, out=out)
    elif out.dtype == np.int16:
        whole = stored.astype(np.int64) * int(rule.slope) + int(rule.intercept)
        store_exact(whole, out)
    else:
        scaled = stored.astype(np.float64) * rule.slope + rule.intercept
        out[...] = scaled.astype(np.float32)


def _shifted_down(
    stored: NDArray[np.generic], header: SliceHeader
) -> NDArray[np.generic]:
    """Move the stored bits to the bottom, where the header says they lie higher.

    Raises
    ------
    BadScan
        The bits below hold something, too: either they or the header mislead.
    """
    shift = header.rule.shift
    if np.bitwise_and(stored, (1 << shift) - 1).any():
        high = header.bits_stored + shift - 1
        raise BadScan(
            f"{header.path} states high bit {high} of {header.bits_stored} stored "
            "bits, but the bits below them are used, too",
            expected="values in the bits that the header names",
            next_step="Export the series again; its HighBit is likely wrong",
        )
    return np.asarray(np.right_shift(stored, shift))


def _without_unused_bits(
    stored: NDArray[np.generic], header: SliceHeader
) -> NDArray[np.generic]:
    """Clear the bits above BitsStored: old files keep overlays there."""
    unused = stored.dtype.itemsize * 8 - header.bits_stored
    if unused <= 0 or stored.dtype.kind not in "iu":
        return stored
    if not stored.flags.writeable:
        stored = stored.copy()
    if stored.dtype.kind == "u":
        np.bitwise_and(stored, (1 << header.bits_stored) - 1, out=stored)
    else:
        np.left_shift(stored, unused, out=stored)
        np.right_shift(stored, unused, out=stored)
    return stored


def _check_range(stored: NDArray[np.generic], header: SliceHeader) -> None:
    bits, signed = header.bits_stored, header.signed
    low = -(1 << (bits - 1)) if signed else 0
    high = (1 << (bits - int(signed))) - 1
    shift = header.rule.intercept
    if _fits(low + shift) and _fits(high + shift):
        return
    ends = int(stored.min()) + shift, int(stored.max()) + shift
    if not all(map(_fits, ends)):
        raise DoesNotFit


def store_exact(values: NDArray[np.generic], out: NDArray[np.generic]) -> None:
    """Copy values to ``out``.

    Raises
    ------
    DoesNotFit
        They are no numbers of its type.
    """
    if out.dtype == np.int16 and values.dtype != np.int16:
        if not (_fits(float(values.min())) and _fits(float(values.max()))):
            raise DoesNotFit
        if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
            raise DoesNotFit
    out[...] = values.astype(out.dtype)


def _fits(value: float) -> bool:
    return bool(_INT16.min <= value <= _INT16.max)
