"""From loose slices to scans: which slices belong together, and which are set apart.

A folder may mix several series, orientations, echoes and time points with scouts, dose
pictures and copies of the same file. Slices form one scan when they share their series,
orientation, size and spacing and lie at different positions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scanlearn.scans.dicom_geometry import (
    SAME_POSITION_MM,
    Stack,
    heights_mm,
    pixel_spacing_of,
    plane_axes,
    stack_slices,
)
from scanlearn.scans.dicom_headers import SliceHeader
from scanlearn.scans.geometry import Grid
from scanlearn.scans.picture import picture_grid
from scanlearn.scans.scan import Problem

#: Modalities that are projections: every image is a scan of its own.
PROJECTIONS = ("CR", "DX", "DR", "RG", "MG", "PX", "IO", "XA", "RF")
#: Words in ImageType of what is no part of a volume.
_SCOUT_WORDS = {"LOCALIZER", "SCOUT", "SURVEY", "TOPOGRAM"}
_REPORT_WORDS = {"DOSE", "SCREEN", "REPORT", "PROT"}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
#: Cosines that differ by less than this belong to one orientation.
SAME_ORIENTATION = 1e-3

_OTHER_SERIES = "Choose another series, or export this one again"
_COPY_AGAIN = "Copy the file again from where it came from, or take it out"
_KEEP_FIRST = (
    "Choose to repair the series (--uneven resample) and keep the first image of "
    "each place by file name, or export one acquisition of it"
)
_ONE_ACQUISITION = "Export one acquisition of the series, or take surplus files out"
#: Problems that reading with ``on_uneven="resample"`` repairs, with a warning.
_REPAIRABLE = ("uneven", "missing", "duplicate_slices")


@dataclass(frozen=True, eq=False)
class DicomScan:
    """One scan found among slices.

    ``stack`` is None for a radiograph, and ``grid`` too where ``error`` says why the
    slices are no scan. ``surplus`` holds further images of places that ``slices`` have.
    """

    series_uid: str
    slices: tuple[SliceHeader, ...]
    grid: Grid | None = None
    stack: Stack | None = None
    problems: tuple[Problem, ...] = ()
    error: str = ""
    next_step: str = ""
    surplus: tuple[SliceHeader, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the slices, in order, each once; surplus ones last."""
        return tuple(dict.fromkeys(s.path for s in (*self.slices, *self.surplus)))

    @property
    def to_repair(self) -> tuple[Problem, ...]:
        """What is read only where the user chooses to have it repaired."""
        return tuple(p for p in self.problems if p.code in _REPAIRABLE)

    @property
    def is_picture(self) -> bool:
        """Whether this is a projection image, not a slice of a volume."""
        return self.stack is None and not self.error


def group_slices(headers: Iterable[SliceHeader]) -> list[DicomScan]:
    """Sort slices into scans, in the order in which their series were met."""
    series: dict[tuple[str, str], list[SliceHeader]] = defaultdict(list)
    for header in headers:
        series[header.series.uid, header.series.acquisition.modality].append(header)
    scans = [scan for slices in series.values() for scan in _scans_of(slices)]
    return _numbered(scans)


def _scans_of(slices: list[SliceHeader]) -> list[DicomScan]:
    groups: dict[tuple[object, ...], list[SliceHeader]] = defaultdict(list)
    orientations: list[tuple[float, ...]] = []
    for number, header in enumerate(slices):
        turn = _turn_number(header, orientations)
        groups[_group_key(header, number, turn)].append(header)
    scans = [scan for group in groups.values() for scan in _scans_of_group(group)]
    # The scan proper comes first, what was set apart after it.
    return sorted(scans, key=lambda s: (bool(s.error), -len(s.slices)))


def _turn_number(header: SliceHeader, known: list[tuple[float, ...]]) -> int:
    """Return the number of a slice's orientation; ``known`` grows as needed."""
    new = header.orientation
    for number, old in enumerate(known):
        if old == new:
            return number
        if len(old) == len(new) and new:
            gap = max(abs(a - b) for a, b in zip(old, new, strict=True))
            if gap < SAME_ORIENTATION:
                return number
    known.append(new)
    return len(known) - 1


def _group_key(header: SliceHeader, number: int, turn: int) -> tuple[object, ...]:
    reason = _set_apart(header)
    if not reason and _is_projection(header):
        return "projection", number
    spacing, _ = pixel_spacing_of(header)
    size = header.rows, header.columns
    return reason, turn, size, round(spacing[0], 4), round(spacing[1], 4)


def _scans_of_group(group: list[SliceHeader]) -> list[DicomScan]:
    group, problems = _without_copies(group)
    reason = _set_apart(group[0])
    if reason:
        return [_refused(group, reason)]
    damaged = [s for s in group if s.problem]
    if damaged:
        return [_refused(group, _damage(damaged), _COPY_AGAIN)]
    if _is_projection(group[0]):
        return [_picture(group[0], problems)]
    return [_volume(part, found + problems) for part, found in _by_position(group)]


def _set_apart(header: SliceHeader) -> str:
    """Return why an image is no part of a scan, or an empty text."""
    words = set(" ".join(header.image_type[2:]).replace("_", " ").split())
    if header.samples > 1 or header.photometric.startswith(("RGB", "YBR", "PALETTE")):
        return "a colour picture has no intensities to learn from"
    if header.bits_allocated not in (8, 16, 32):
        return f"pixels of {header.bits_allocated} bits are no intensities"
    if words & _SCOUT_WORDS:
        return "a scout (localizer) is not a part of the volume"
    if words & _REPORT_WORDS:
        return "a dose or report picture is not a part of the volume"
    if "MOSAIC" in words:
        return "slices are tiled into a mosaic; export them as enhanced DICOM or NIfTI"
    has_plane = len(header.position) == 3 and bool(plane_axes(header.orientation).any())
    if has_plane or _is_projection(header) or header.problem:
        return ""
    if header.sop_class == _SECONDARY_CAPTURE:
        return "a secondary capture (screen or dose picture) has no position"
    return "slices have no position or no orientation"


def _damage(damaged: list[SliceHeader]) -> str:
    first = damaged[0]
    what = f"has {first.problem}"
    if first.problem == "truncated":
        what = "is truncated: its pixels are not all there"
    more = f" (and {len(damaged) - 1} more files)" if len(damaged) > 1 else ""
    return f"{first.path.name} {what}{more}"


def _is_projection(header: SliceHeader) -> bool:
    modality = header.series.acquisition.modality
    without_place = modality == "OT" and len(header.position) != 3
    return header.frames == 1 and (modality in PROJECTIONS or without_place)


def _without_copies(
    group: list[SliceHeader],
) -> tuple[list[SliceHeader], list[Problem]]:
    """Drop files that hold the same image as another (same SOP instance)."""
    kept: dict[tuple[str, int], SliceHeader] = {}
    for header in group:
        kept.setdefault((header.sop_uid or str(header.path), header.frame), header)
    dropped = len(group) - len(kept)
    if not dropped:
        return group, []
    noun = "file holds" if dropped == 1 else "files hold"
    text = f"{dropped} {noun} an image that is there already and was left out"
    return list(kept.values()), [Problem("copies", "note", text)]


def _by_position(
    group: list[SliceHeader],
) -> list[tuple[list[SliceHeader], list[Problem]]]:
    """Split slices that share positions into acquisitions, echoes or time points."""
    if not _surplus(group):
        return [(group, [])]
    for number in range(len(group[0].phase)):
        parts: dict[str, list[SliceHeader]] = defaultdict(list)
        for header in group:
            parts[header.phase[number][1]].append(header)
        if len(parts) < 2 or min(map(len, parts.values())) < 2:
            continue
        if any(_surplus(part) for part in parts.values()):
            continue
        name = group[0].phase[number][0]
        text = f"one of {len(parts)} images of the series, told apart by {name}"
        return [(part, [Problem("phases", "note", text)]) for part in parts.values()]
    return [(group, [])]


def _surplus(group: Sequence[SliceHeader]) -> int:
    """Count slices at a position that another slice of the group has."""
    return int((np.diff(np.sort(heights_mm(group))) < SAME_POSITION_MM).sum())


def _volume(group: list[SliceHeader], problems: list[Problem]) -> DicomScan:
    group, surplus = _first_of_each_place(group)
    if surplus and len(group) == 1:
        text = f"no volume: all {1 + len(surplus)} slices lie at {{:.2f}} mm"
        text = text.format(heights_mm(group)[0])
        return _refused(group + surplus, text, _ONE_ACQUISITION)
    stack = stack_slices(group)
    _, spacing_problems = pixel_spacing_of(group[0])
    found = (*problems, *spacing_problems, *_duplicates(surplus), *stack.problems)
    if stack.error:
        return _refused([*stack.slices, *surplus], stack.error)
    uid = group[0].series.uid
    return DicomScan(
        uid, stack.slices, stack.grid, stack, found, surplus=tuple(surplus)
    )


def _first_of_each_place(
    group: list[SliceHeader],
) -> tuple[list[SliceHeader], list[SliceHeader]]:
    """Part slices into the first of each place, by file name, and the rest."""
    group = sorted(group, key=lambda s: (s.path, s.frame))
    heights = heights_mm(group)
    order = np.argsort(heights, kind="stable")
    again = np.diff(heights[order], prepend=-np.inf) < SAME_POSITION_MM
    kept = set(order[~again].tolist())
    return (
        [s for k, s in enumerate(group) if k in kept],
        [s for k, s in enumerate(group) if k not in kept],
    )


def _duplicates(surplus: list[SliceHeader]) -> list[Problem]:
    if not surplus:
        return []
    places = dict.fromkeys(f"{h:.2f}" for h in np.sort(heights_mm(surplus)))
    listed = ", ".join(list(places)[:5]) + (" …" if len(places) > 5 else "")
    noun = "slice" if len(surplus) == 1 else "slices"
    text = f"{len(surplus)} duplicate {noun}: more than one image at {listed} mm"
    return [Problem("duplicate_slices", "error", text, _KEEP_FIRST)]


def _picture(header: SliceHeader, problems: list[Problem]) -> DicomScan:
    spacing, found = pixel_spacing_of(header)
    grid = picture_grid(header.rows, header.columns, spacing_mm=spacing)
    problems = [*problems, *found]
    return DicomScan(header.series.uid, (header,), grid, problems=tuple(problems))


def _refused(
    group: list[SliceHeader], reason: str, next_step: str = _OTHER_SERIES
) -> DicomScan:
    return DicomScan(
        group[0].series.uid, tuple(group), error=reason, next_step=next_step
    )


def _numbered(scans: list[DicomScan]) -> list[DicomScan]:
    """Give scans of one series different names: the UID, then UID#2, UID#3 …."""
    seen: dict[str, int] = defaultdict(int)
    named = []
    for scan in scans:
        seen[scan.series_uid] += 1
        count = seen[scan.series_uid]
        uid = scan.series_uid if count == 1 else f"{scan.series_uid}#{count}"
        named.append(replace(scan, series_uid=uid))
    return named
