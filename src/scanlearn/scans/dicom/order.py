"""Volumes told apart by the order in which the images of a series were counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.dicom.tags import read_numbers

#: Times since an R wave, which fit no two slices exactly.
_TRIGGERS = ("TriggerTime", "NominalCardiacTriggerDelayTime")
_CLOCKS = ("FrameReferenceTime", "AcquisitionTime", "ContentTime")

Indices = NDArray[np.intp]


def by_rank(group: Sequence[SliceHeader], places: Indices) -> list[Indices]:
    """Part images of which every place has equally many, by their order at each place.

    Parameters
    ----------
    group
        The images.
    places
        (n,) number of the place of each.

    Returns
    -------
    The images of each volume, or nothing where no order is regular.
    """
    for name in _TRIGGERS:
        times = _times(group, name)
        if times is not None and (ranks := _ranks(times, places)) is not None:
            return _of_each(ranks)
    numbers = _numbers(group)
    if numbers is not None and _is_regular(numbers, places):
        ranks = _ranks(numbers, places)
        return [] if ranks is None else _of_each(ranks)
    for name in _CLOCKS:
        times = _times(group, name)
        ranks = None if times is None else _ranks(times, places)
        if times is not None and ranks is not None and _one_after_another(times, ranks):
            return _of_each(ranks)
    return []


def sweeps(group: Sequence[SliceHeader], heights: NDArray[np.float64]) -> list[Indices]:
    """Part images where their places, in the order of counting or of time, jump back.

    One part where they run on, nothing where no order is known.
    """
    orders = [_numbers(group), *(_times(group, name) for name in _CLOCKS[1:])]
    for order in orders:
        if order is None or len(np.unique(order)) < len(order):
            continue
        counted = np.argsort(order)
        steps = np.sign(np.diff(heights[counted]))
        if len(steps) and steps.any():
            onward = 1 if steps.sum() >= 0 else -1
            breaks = np.flatnonzero(steps == -onward) + 1
            return list(np.split(counted, breaks))
    return []


def _numbers(group: Sequence[SliceHeader]) -> NDArray[np.float64] | None:
    """Return the numbers of images and of frames in them; None where one is unknown."""
    if any(header.number is None and header.frames == 1 for header in group):
        return None
    frames = max(header.frames for header in group)
    return np.array([(h.number or 0) * frames + h.frame for h in group], np.float64)


def _times(group: Sequence[SliceHeader], name: str) -> NDArray[np.float64] | None:
    found = [read_numbers(dict(header.phase).get(name, ""), 1) for header in group]
    return np.array(found)[:, 0] if all(found) else None


def _ranks(order: NDArray[np.float64], places: Indices) -> Indices | None:
    """Return the rank of each image at its place; None where two are equal."""
    by_place = np.lexsort((order, places))
    if ((np.diff(order[by_place]) == 0) & (np.diff(places[by_place]) == 0)).any():
        return None
    ranks = np.empty(len(places), dtype=np.intp)
    ranks[by_place] = np.arange(len(places)) % np.bincount(places)[0]
    return ranks


def _of_each(ranks: Indices) -> list[Indices]:
    return [np.flatnonzero(ranks == rank) for rank in range(int(ranks.max()) + 1)]


def _is_regular(numbers: NDArray[np.float64], places: Indices) -> bool:
    """Whether images are counted volume by volume, or place by place."""
    if len(np.unique(numbers)) < len(numbers):
        return False
    counted = places[np.argsort(numbers)]
    count = int(places.max()) + 1
    volumes = counted.reshape(-1, count)
    stacks = counted.reshape(count, -1)
    is_whole = (np.sort(volumes, axis=1) == np.arange(count)).all()
    return bool(is_whole or (stacks == stacks[:, :1]).all())


def _one_after_another(times: NDArray[np.float64], ranks: Indices) -> bool:
    """Whether each volume was complete before the next began."""
    parts = [times[part] for part in _of_each(ranks)]
    return all(a.max() < b.min() for a, b in pairwise(parts))
