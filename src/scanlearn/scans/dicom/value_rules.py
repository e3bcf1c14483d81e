"""How the stored values of a slice become what they stand for.

DICOM PS3.3, C.7.6.3.1 (bits) and C.11.1 (modality LUT): a slope and an intercept, or a
table that says for each stored value what it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from scanlearn.scans.dicom.tags import Tags, read_numbers, unreadable


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A modality LUT: entry ``k`` is what the stored value ``first + k`` means.

    Values below and above take the first and the last entry. ``words`` holds the
    entries as bytes, so that the slices of a series share one table.
    """

    first: int
    words: bytes

    def __call__(self, stored: NDArray[np.generic]) -> NDArray[np.uint16]:
        """Return what stored whole numbers mean."""
        entries = np.frombuffer(self.words, np.uint16)
        index = stored.astype(np.int64) - self.first
        return np.asarray(entries[np.clip(index, 0, len(entries) - 1)])


@dataclass(frozen=True, slots=True)
class ValueRule:
    """What the header of a slice says of its values.

    Parameters
    ----------
    slope, intercept
        Of the rescaling.
    is_stated
        Whether the header has a rescaling or a table at all.
    shift
        How many bits lie below the stored ones.
    lookup
        The table in place of slope and intercept.
    is_plain
        Whether other readers will understand it likewise.
    problem
        What cannot be understood.
    remark
        What was made of it that is no more than likely.
    """

    slope: float = 1.0
    intercept: float = 0.0
    is_stated: bool = True
    shift: int = 0
    lookup: LookupTable | None = None
    is_plain: bool = True
    problem: str = ""
    remark: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether whole stored values stay whole numbers."""
        return self.slope.is_integer() and self.intercept.is_integer()


PLAIN = ValueRule()


def value_rule(tags: Tags, dataset: Dataset, *, bits: int, stored: int) -> ValueRule:
    """Return what a header says of its values.

    Parameters
    ----------
    tags, dataset
        The header.
    bits, stored
        How many bits a value takes, and how many of them it uses.
    """
    shift, trouble = _shift(tags, bits=bits, stored=stored)
    rule = scale_rule(tags.text("RescaleSlope"), tags.text("RescaleIntercept"))
    problem = trouble or rule.problem
    if shift or problem:
        rule = replace(rule, shift=shift, is_plain=False, problem=problem)
    return _with_lookup(rule, dataset) if "ModalityLUTSequence" in tags else rule


@lru_cache(maxsize=1024)
def scale_rule(slope: str, intercept: str) -> ValueRule:
    """Return what the texts of a slope and an intercept say of values."""
    factor, offset = (
        next(iter(read_numbers(text, 1)), None) for text in (slope, intercept)
    )
    problem = unreadable(slope, "rescale slope", 1)
    problem = problem or unreadable(intercept, "rescale intercept", 1)
    return ValueRule(
        # A slope of 0 would wipe the image out: it was never filled in.
        factor or 1.0,
        offset or 0.0,
        is_stated=bool(slope or intercept),
        is_plain="," not in slope + intercept and factor != 0,
        problem=problem,
        remark="states a rescale slope of 0; 1 was taken" if factor == 0 else "",
    )


def _with_lookup(rule: ValueRule, dataset: Dataset) -> ValueRule:
    lookup, problem = _lookup(dataset)
    if lookup is not None and (rule.slope, rule.intercept) != (1.0, 0.0):
        problem = "states both a modality LUT and a rescale slope or intercept"
    return replace(
        rule,
        lookup=lookup,
        is_stated=rule.is_stated or lookup is not None,
        is_plain=False,
        problem=rule.problem or problem,
    )


def _shift(tags: Tags, *, bits: int, stored: int) -> tuple[int, str]:
    """Return how many bits lie below the stored ones, and what is impossible."""
    if not tags.text("HighBit"):
        return 0, ""
    high = tags.whole("HighBit")
    shift = high + 1 - stored
    if 0 <= shift <= bits - stored:
        return shift, ""
    return 0, f"states high bit {high} of {stored} stored bits in {bits}"


def _lookup(dataset: Dataset) -> tuple[LookupTable | None, str]:
    items = list(dataset["ModalityLUTSequence"].value or [])
    if not items:
        return None, ""
    order = "<" if dataset.original_encoding[1] else ">"
    try:
        count, first, width = _words(items[0]["LUTDescriptor"].value, order)
        data = items[0]["LUTData"].value
        entries = _entries(data, int(count) or 1 << 16, int(width), order)
    except (KeyError, TypeError, ValueError):
        return None, "states a modality LUT that cannot be read"
    signed = dataset.get("PixelRepresentation", 0) == 1
    start = int(first) - (1 << 16 if signed and first >= 1 << 15 else 0)
    return LookupTable(start, entries.tobytes()), ""


def _entries(data: object, count: int, width: int, order: str) -> NDArray[np.uint16]:
    """Return the entries of a table, stored in words or, of old, in bytes."""
    if isinstance(data, bytes) and width <= 8 and len(data) < 2 * count:
        entries = np.frombuffer(data, np.uint8).astype(np.uint16)
    else:
        entries = _words(data, order)
    if len(entries) < count:
        raise ValueError(f"{len(entries)} of {count} entries")
    return entries[:count]


def _words(data: object, order: str) -> NDArray[np.uint16]:
    """Return 16-bit numbers, which pydicom may have decoded or left as bytes."""
    if isinstance(data, bytes):
        data = np.frombuffer(data[: len(data) // 2 * 2], f"{order}u2")
    return np.atleast_1d(np.array(data)).astype(np.int64).astype(np.uint16)
