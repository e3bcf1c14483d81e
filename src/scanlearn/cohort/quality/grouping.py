"""Remarks that many scans share, as one line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scanlearn.scans.formats import stem_of

_NUMBER = re.compile(r"\d+(?:\.\d+)?")

#: Scans named in a line.
_NAMED = 3

#: A shorter name could be a part of any word.
_SHORTEST = 3


@dataclass(frozen=True)
class Remark:
    """What is told of one scan, by its key or its path."""

    scan: str
    text: str


def grouped(remarks: Iterable[Remark]) -> list[str]:
    """Return one line for each kind of remark, in the order of their first ones.

    Remarks that differ in numbers alone, or in the name of their scan, are of one kind:
    ``200 scans: Slices are 5.5 to 7.5 mm apart: … (a, b, c and 197 more)``.
    """
    kinds: dict[str, list[Remark]] = {}
    for remark in remarks:
        kinds.setdefault(_NUMBER.sub("#", _unnamed(remark)), []).append(remark)
    return [_line(kind) for kind in kinds.values()]


def _line(remarks: list[Remark]) -> str:
    first = remarks[0]
    if len(remarks) == 1:
        return f"{first.scan}: {first.text}"
    scans = list(dict.fromkeys(remark.scan for remark in remarks))
    names = ", ".join(scans[:_NAMED])
    more = f" and {len(scans) - _NAMED} more" if len(scans) > _NAMED else ""
    text = _ranged([_unnamed(remark) for remark in remarks])
    return f"{len(scans)} scan{'s' * (len(scans) > 1)}: {text} ({names}{more})"


def _ranged(texts: list[str]) -> str:
    """Return a text with the span of each number that differs."""
    numbers = [_NUMBER.findall(text) for text in texts]
    spans = iter(
        (min(column, key=float), max(column, key=float))
        for column in zip(*numbers, strict=True)
    )

    def span(_match: re.Match[str]) -> str:
        low, high = next(spans)
        return low if float(low) == float(high) else f"{low} to {high}"

    return _NUMBER.sub(span, texts[0])


def _unnamed(remark: Remark) -> str:
    """Return a text without the name of its scan."""
    path = Path(remark.scan)
    text = remark.text
    for name in (remark.scan, path.name, stem_of(path)):
        if len(name) >= _SHORTEST:
            text = text.replace(name, "…")
    return text.removeprefix("… ").removeprefix("…: ")
