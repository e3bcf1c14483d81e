"""Several images of one place in a series: times, echoes, phases, b-values, directions.

They are told apart by the tags that differ, else by the order in which the images are
counted where that is regular. What cannot be told apart is refused: no volume is ever
mixed from two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.dicom.order import by_rank, sweeps
from scanlearn.scans.dicom.places import heights_mm, in_plane_mm, place_numbers
from scanlearn.scans.dicom.slice_geometry import stack_slices
from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.dicom.tags import read_numbers

Indices = NDArray[np.intp]

#: Times go on while slices are made: they part only what is complete.
_TIMES = (
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "TemporalPositionTimeOffset",
    "FrameReferenceTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
)
#: Tags whose values are shown; the others may tell who or when it was.
_UNSHOWN = (
    *_TIMES,
    "AcquisitionDate",
    "SeriesDescription",
    "SeriesNumber",
    "DiffusionDirectionality",
    "file",
)
#: More tags than this are not tried three at once.
_MOST_COMBINED = 12
#: A volume has at least so many slices where it must be told from one between.
_FEWEST = 3
#: Slices this much thicker than their step overlap.
_OVERLAP = 1.1
_IN_PLANE = "place in the plane"


@dataclass(frozen=True)
class Part:
    """The slices of one volume.

    ``label`` says what tells it from the series' other parts; ``error`` why the slices
    are several volumes that cannot be told apart.
    """

    slices: list[SliceHeader]
    label: str = ""
    error: str = ""


def part_images(group: list[SliceHeader]) -> list[Part]:
    """Part the images of a series into volumes with one image of each place.

    Parameters
    ----------
    group
        Slices with places, of one orientation, size and spacing.

    Returns
    -------
    One part where the places are all different and nothing says that they belong to
    several volumes; also where only a few places are met twice.
    """
    places = place_numbers(heights_mm(group))
    count = int(places.max()) + 1
    table = _Table(group)
    found = _same_places(group, table, places) if 1 < count < len(group) else []
    found = found or _interleaved(group, table, places)
    if len(found) < 2:
        return [Part(group, error=_unparted(group, table, places))]
    return [part for whole in _labelled(group, table, found) for part in _again(whole)]


def _again(whole: Part) -> list[Part]:
    """Part what is left of two differences at once."""
    parts = part_images(whole.slices)
    return [
        replace(part, label=", ".join(filter(None, (whole.label, part.label))))
        for part in parts
    ]


class _Table:
    """The tags of a group that differ, as whole numbers in the order of values."""

    def __init__(self, group: Sequence[SliceHeader]) -> None:
        values: dict[str, set[str]] = {}
        for header in group:
            for name, value in header.phase:
                values.setdefault(name, set()).add(value)
        tags = [dict(header.phase) for header in group]
        self.codes: dict[str, Indices] = {}
        for name, different in values.items():
            if 1 <= len(different) <= len(group) // 2:
                codes = _coded([own.get(name, "") for own in tags])
                if codes.any():
                    self.codes[name] = codes
        self.texts = tags

    def candidates(self, names: Sequence[str], most: int) -> Iterator[Indices]:
        """Yield the codes of single tags, then of two and three tags at once."""
        for size in range(1, most + 1):
            for chosen in combinations(
                names[: _MOST_COMBINED if size > 1 else None], size
            ):
                codes = self.codes[chosen[0]]
                for name in chosen[1:]:
                    codes = codes * (int(self.codes[name].max()) + 1) + self.codes[name]
                yield np.unique(codes, return_inverse=True)[1]

    def strong(self) -> list[str]:
        """Return the names of tags that stand for an acquisition, not for a moment."""
        return [name for name in self.codes if name not in _TIMES]


def _coded(texts: list[str]) -> Indices:
    """Return the ranks of values from 0: numbers by size, then texts as met."""
    met = {text: rank for rank, text in enumerate(dict.fromkeys(texts))}
    keys = {text: _sort_key(text, rank) for text, rank in met.items()}
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys.values())))}
    return np.array([ranks[keys[text]] for text in texts], dtype=np.intp)


def _sort_key(text: str, met: int) -> tuple[int, tuple[float, ...], int]:
    """Return the same key for numbers that are spelled differently."""
    numbers = read_numbers(text, 0)
    if numbers:
        return 0, tuple(float(f"{x:.6g}") for x in numbers), 0
    return 1, (), met


def _same_places(
    group: list[SliceHeader], table: _Table, places: Indices
) -> list[Indices]:
    """Part images that share places."""
    counts = np.bincount(places)
    offsets = _coded([f"{u:.0f}\\{v:.0f}" for u, v in in_plane_mm(group)])
    if 0 < int(offsets.max()) < len(group) // 2:
        table.codes[_IN_PLANE] = offsets
    strong = table.strong()
    is_complete = counts.min() == counts.max()
    if is_complete:
        times = [name for name in table.codes if name in _TIMES]
        for codes in table.candidates([*strong, *times], 3):
            parts = _parts(codes)
            if len(parts) == counts[0] and _each_once(codes, places):
                return parts
        return by_rank(group, places)
    for codes in table.candidates(strong, 2):
        parts = _parts(codes)
        if min(map(len, parts)) >= 2 and _each_once(codes, places):
            return parts
    return []


def _parts(codes: Indices) -> list[Indices]:
    return [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]


def _each_once(codes: Indices, places: Indices) -> bool:
    """Whether no place is met twice under one code."""
    both = codes * (int(places.max()) + 1) + places
    return len(np.unique(both)) == len(both)


def _interleaved(
    group: list[SliceHeader], table: _Table, places: Indices
) -> list[Indices]:
    """Part volumes whose slices lie between each other's."""
    heights = heights_mm(group)
    if len(group) < 2 * _FEWEST or not (table.codes or len(sweeps(group, heights)) > 1):
        return []
    is_ct = group[0].series.acquisition.modality == "CT"
    is_even = False
    if int(places.max()) + 1 == len(group):
        stack = stack_slices(group)
        is_even = stack.uneven is None
        # Some MR is made in two passes, every second slice at a time: one volume.
        if is_even and not is_ct and not _overlap(group, stack.grid.spacing_mm[0]):
            return []
    names = table.strong()
    if is_ct or not is_even or group[0].thickness:
        names += [name for name in table.codes if name in _TIMES]
    tried = [_parts(codes) for codes in table.candidates(names, 1)]
    for parts in [*tried, sweeps(group, heights)]:
        if _lie_between(parts, heights) and all(
            _is_even([group[k] for k in part], places[part]) for part in parts
        ):
            return parts
    return []


def _overlap(group: list[SliceHeader], step: float) -> bool:
    thickness = group[0].thickness
    return thickness is None or thickness > step * _OVERLAP


def _lie_between(parts: list[Indices], heights: NDArray[np.float64]) -> bool:
    if len(parts) < 2 or min(map(len, parts)) < _FEWEST:
        return False
    ends = [(float(heights[p].min()), float(heights[p].max())) for p in parts]
    return any(max(a[0], b[0]) < min(a[1], b[1]) for a, b in combinations(ends, 2))


def _is_even(slices: list[SliceHeader], places: Indices) -> bool:
    """Whether slices lie at even distances, each at its own place."""
    is_single = len(np.unique(places)) == len(places)
    return is_single and stack_slices(slices).uneven is None


def _unparted(group: list[SliceHeader], table: _Table, places: Indices) -> str:
    """Return why images must not be taken for one volume, if they must not."""
    counts = np.bincount(places)
    if len(counts) == 1:
        return ""  # told as what it is: no volume
    several = int((counts > 1).sum())
    if several >= len(counts) / 2:
        return (
            f"{len(group)} images of {len(counts)} places, up to {int(counts.max())} "
            "at one: times, echoes or phases that neither a tag nor a regular order of "
            "the images tells apart"
        )
    if several or len(group) < 2 * _FEWEST or stack_slices(group).uneven is None:
        return ""
    heights = heights_mm(group)
    for name in table.strong():
        parts = _parts(table.codes[name])
        if _lie_between(parts, heights):
            return (
                f"slices of {len(parts)} volumes lie between each other (they differ "
                f"in {name}), and those are uneven, too"
            )
    return _combs(group, places)


def _combs(group: list[SliceHeader], places: Indices) -> str:
    """Return that every second slice is even for itself, or third or fourth, if so."""
    order = np.argsort(places)
    for count in (2, 3, 4):
        parts = [order[first::count] for first in range(count)]
        if min(map(len, parts)) < _FEWEST:
            break
        if all(_is_even([group[k] for k in p], places[p]) for p in parts):
            return (
                f"slices lie at distances that repeat, like those of {count} volumes "
                "between each other, and nothing else tells which is whose"
            )
    return ""


def _labelled(
    group: list[SliceHeader], table: _Table, found: list[Indices]
) -> list[Part]:
    """Say of each part which it is, and what its tags hold that others' don't."""
    told = [name for name in table.codes if _tells(table.codes[name], found)]
    shown = [name for name in told if name in table.texts[0] and name not in _UNSHOWN]
    parts = []
    for number, part in enumerate(found, start=1):
        texts = [f"{name} = {table.texts[part[0]].get(name, '')}" for name in shown[:3]]
        label = f"{number} of {len(found)}"
        label += f" ({', '.join(texts)})" if texts else ""
        parts.append(Part([group[k] for k in part], label))
    return parts


def _tells(codes: Indices, found: list[Indices]) -> bool:
    """Whether a tag is the same within each part and not in all of them."""
    values = [np.unique(codes[part]) for part in found]
    return all(len(v) == 1 for v in values) and len({int(v[0]) for v in values}) > 1
