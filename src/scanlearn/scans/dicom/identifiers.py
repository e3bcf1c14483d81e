"""Which slices are one series, whatever their identifiers say.

Exports and anonymisers repeat identifiers, or make one up for every file. What cannot
be mistaken is where slices lie: they are joined where they fill one regular stack, and
parted where they are of several patients.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scanlearn.scans.dicom.places import (
    has_plane,
    heights_mm,
    place_numbers,
    plane_numbers,
)
from scanlearn.scans.dicom.slice_geometry import stack_slices
from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.scan import Problem

#: Fewer slices might fill a regular stack by chance.
FEWEST_JOINED = 3
#: A series of so few slices is no volume of its own.
_FRAGMENT = 2

_NO_TRUST = "Look whether all slices are of one scan; export it again if they are not"
_PATIENTS = (
    "Correct PatientID and StudyInstanceUID, the same for all slices of a series, or "
    "take out those of others"
)


@dataclass(frozen=True)
class Series:
    """Slices that are one series; ``error`` says why they must not be read as one."""

    slices: list[SliceHeader]
    problems: tuple[Problem, ...] = ()
    error: str = ""
    next_step: str = ""


def sort_into_series(headers: Iterable[SliceHeader]) -> list[Series]:
    """Sort slices into series, in the order in which they were met."""
    by_uid: dict[tuple[str, ...], list[SliceHeader]] = defaultdict(list)
    for header in headers:
        by_uid[_key(header)].append(header)
    series = [one for slices in by_uid.values() for one in _of_one_patient(slices)]
    return _joined(series)


def _key(header: SliceHeader) -> tuple[str, ...]:
    info = header.series
    if info.uid:
        return info.uid, info.acquisition.modality
    # Without an identifier the folder is the best there is.
    place = info.patient, info.study, str(header.path.parent)
    return "", info.acquisition.modality, *place


def _of_one_patient(slices: list[SliceHeader]) -> list[Series]:
    """Part a series by patient and study where it has several."""
    owners: dict[tuple[str, str], list[SliceHeader]] = defaultdict(list)
    for header in slices:
        owners[header.series.patient, header.series.study].append(header)
    if len(owners) == 1:
        return [Series(slices)]
    patients = {patient for patient, _ in owners}
    what = "patients" if len(patients) > 1 else "studies"
    count = len(patients) if len(patients) > 1 else len(owners)
    if any(_is_mixed(group) for group in _by_plane(slices)):
        if len(patients) == 1:
            return [Series(slices, (_told_studies(count),))]
        error = f"the slices of one volume name {count} {what}"
        return [Series(slices, error=error, next_step=_PATIENTS)]
    text = (
        f"one SeriesInstanceUID stands for images of {count} {what}; they were parted"
    )
    problem = Problem("shared_series_uid", "warning", text, _NO_TRUST)
    return [Series(part, (problem,)) for part in owners.values()]


def _told_studies(count: int) -> Problem:
    text = f"the slices of one volume name {count} studies of one patient"
    return Problem("several_studies", "warning", text, _NO_TRUST)


def _is_mixed(slices: list[SliceHeader]) -> bool:
    """Whether slices of several patients are one volume, or pieces of one."""
    owners = Counter((s.series.patient, s.series.study) for s in slices)
    if len(owners) == 1:
        return False
    are_pieces = len(owners) >= FEWEST_JOINED and max(owners.values()) <= _FRAGMENT
    return are_pieces or _is_one_stack(slices)


def _joined(series: list[Series]) -> list[Series]:
    """Join series that are pieces of one volume."""
    alike: dict[object, list[int]] = defaultdict(list)
    for number, one in enumerate(series):
        if not one.error and has_plane(one.slices[0]):
            alike[_signature(one.slices[0])].append(number)
    gone: set[int] = set()
    found: dict[int, Series] = {}
    for numbers in alike.values():
        if len(numbers) < 2:
            continue
        for part in _pieces([(n, series[n]) for n in numbers]):
            found[part[0]] = _one_of([series[n] for n in part])
            gone.update(part[1:])
    joined = [found.get(n, one) for n, one in enumerate(series) if n not in gone]
    return _pieces_told(joined)


def _pieces_told(series: list[Series]) -> list[Series]:
    """Say of single slices that look like one volume that they were not joined."""
    alike: dict[object, list[int]] = defaultdict(list)
    for number, one in enumerate(series):
        if len(one.slices) == 1 and not one.error and has_plane(one.slices[0]):
            alike[one.slices[0].series.patient].append(number)
    told = list(series)
    for numbers in alike.values():
        if len(numbers) < FEWEST_JOINED:
            continue
        number_of = {id(series[n].slices[0]): n for n in numbers}
        for plane in _by_plane([series[n].slices[0] for n in numbers]):
            places = int(place_numbers(heights_mm(plane)).max()) + 1
            if places >= FEWEST_JOINED:
                for n in (number_of[id(header)] for header in plane):
                    problem = _not_joined(len(plane))
                    problems = (*series[n].problems, problem)
                    told[n] = replace(series[n], problems=problems)
    return told


def _not_joined(count: int) -> Problem:
    text = (
        f"one of {count} single slices of one patient and plane that may be one "
        "volume; they name different series and could not be joined"
    )
    action = "Export the series again with one SeriesInstanceUID if they are one volume"
    return Problem("not_joined", "warning", text, action)


def _signature(header: SliceHeader) -> tuple[object, ...]:
    """Return what the pieces of one volume share."""
    info = header.series
    about = info.acquisition
    whose = info.patient if info.is_identified else str(header.path.parent)
    size = header.rows, header.columns, header.frames
    return (whose, about.modality, about.description, about.kernel, *size)


def _pieces(candidates: list[tuple[int, Series]]) -> list[list[int]]:
    """Return the numbers of series that are pieces of one volume, for each volume."""
    number_of = {id(h): n for n, one in candidates for h in one.slices}
    everything = [h for _, one in candidates for h in one.slices]
    found: list[list[int]] = []
    for plane in _by_plane(everything):
        for key in (_by_study_and_number, _by_study, _by_nothing):
            for group in _grouped(plane, key):
                numbers = list(dict.fromkeys(number_of[id(h)] for h in group))
                taken = any(n in known for known in found for n in numbers)
                if len(numbers) > 1 and not taken and _are_pieces(group, key):
                    found.append(numbers)
    return found


_Key = Callable[[SliceHeader], object]


def _by_study_and_number(header: SliceHeader) -> object:
    return header.series.study, header.series.number


def _by_study(header: SliceHeader) -> object:
    return header.series.study


def _by_nothing(_header: SliceHeader) -> object:
    return None


def _grouped(slices: Sequence[SliceHeader], key: _Key) -> list[list[SliceHeader]]:
    groups: dict[object, list[SliceHeader]] = defaultdict(list)
    for header in slices:
        groups[key(header)].append(header)
    return list(groups.values())


def _are_pieces(slices: list[SliceHeader], key: _Key) -> bool:
    """Whether slices of several series are one volume or the phases of one."""
    sizes = [len(group) for group in _grouped(slices, lambda h: h.series.uid)]
    places = place_numbers(heights_mm(slices))
    if int(places.max()) + 1 < FEWEST_JOINED:
        return False
    # One identifier for every image or two: nobody scans like that.
    if max(sizes) <= _FRAGMENT and len(sizes) >= FEWEST_JOINED:
        counted = key is _by_study_and_number and slices[0].series.number
        return bool(counted) or _fill_one_stack(slices)
    is_counted_as_one = key is _by_study_and_number and slices[0].series.number
    return bool(is_counted_as_one) and _is_one_stack(slices)


def _by_plane(slices: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Group slices that have a place by their orientation, size and spacing."""
    placed = [s for s in slices if has_plane(s)]
    groups: dict[object, list[SliceHeader]] = defaultdict(list)
    for header, number in zip(placed, plane_numbers(placed), strict=True):
        groups[number].append(header)
    return list(groups.values())


def _fill_one_stack(slices: list[SliceHeader]) -> bool:
    """Whether slices fill regular places, each as often as the others."""
    places = place_numbers(heights_mm(slices))
    counts = np.bincount(places)
    _, first = np.unique(places, return_index=True)
    is_full = counts.min() == counts.max()
    return bool(is_full) and _is_one_stack([slices[k] for k in first])


def _is_one_stack(slices: list[SliceHeader]) -> bool:
    """Whether slices lie at regular places, each at its own."""
    if len(slices) < FEWEST_JOINED:
        return False
    if len(set(place_numbers(heights_mm(slices)).tolist())) < len(slices):
        return False
    stack = stack_slices(slices)
    return stack.uneven is None and not stack.error


def _one_of(pieces: list[Series]) -> Series:
    slices = [header for piece in pieces for header in piece.slices]
    info = pieces[0].slices[0].series
    studies = {header.series.study for header in slices}
    noun = "SeriesInstanceUIDs"
    text = f"{len(slices)} images with {len(pieces)} {noun} were read as one series"
    if len(studies) > 1:
        text += f"; they name {len(studies)} studies, too"
    known = [problem for piece in pieces for problem in piece.problems]
    problems = (*dict.fromkeys(known), Problem("joined", "warning", text, _NO_TRUST))
    return Series([replace(header, series=info) for header in slices], problems)
