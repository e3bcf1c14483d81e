"""From loose slices to scans: which slices belong together, and which are set apart.

A folder may mix several series, orientations, echoes and time points with scouts, dose
pictures and copies of the same file. Slices form one scan when they share their series,
orientation, size and spacing and lie at different positions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scanlearn.scans.dicom.copies import without_copies
from scanlearn.scans.dicom.identifiers import Series, sort_into_series
from scanlearn.scans.dicom.phases import Part, part_images
from scanlearn.scans.dicom.places import (
    has_plane,
    heights_mm,
    pixel_spacing_of,
    place_numbers,
    plane_numbers,
)
from scanlearn.scans.dicom.scales import mixed_scales
from scanlearn.scans.dicom.series_info import PROJECTIONS
from scanlearn.scans.dicom.slice_geometry import Stack, stack_slices
from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.files.picture import picture_grid
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Problem

#: Words in ImageType of what is no part of a volume.
_SCOUT_WORDS = {"LOCALIZER", "SCOUT", "SCOUTVIEW", "SURVEY", "TOPOGRAM", "SCANO"}
_REPORT_WORDS = {"DOSE", "SCREEN", "REPORT", "PROT"}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
#: So many places of images of a projection's modality are those of sections.
_FEWEST_SECTIONS = 3

_OTHER_SERIES = "Choose another series, or export this one again"
_COPY_AGAIN = "Copy the file again from where it came from, or take it out"
_CORRECT = "Export the series again, or correct the header with a DICOM editor"
_WITH_PLACES = (
    "Export the series again with ImagePositionPatient and ImageOrientationPatient; "
    "other tags do not say where slices lie"
)
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
    slices are no scan. ``surplus`` holds further images of places that ``slices`` have,
    ``label`` what tells this volume from others of its series.
    """

    series_uid: str
    slices: tuple[SliceHeader, ...]
    grid: Grid | None = None
    stack: Stack | None = None
    problems: tuple[Problem, ...] = ()
    error: str = ""
    next_step: str = ""
    surplus: tuple[SliceHeader, ...] = ()
    label: str = ""

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
    series = sort_into_series(headers)
    return _numbered([scan for one in series for scan in _scans_of(one)])


def _scans_of(series: Series) -> list[DicomScan]:
    if series.error:
        return [_refused(series.slices, series.error, series.next_step)]
    groups: dict[tuple[object, ...], list[SliceHeader]] = defaultdict(list)
    planes = _planes(series.slices)
    for number, (header, plane) in enumerate(zip(series.slices, planes, strict=True)):
        reason = _set_apart(header)
        is_picture = not reason and _is_projection(header) and not has_plane(header)
        groups[reason, plane, number if is_picture else -1].append(header)
    scans = [
        scan
        for (reason, *_), group in groups.items()
        for scan in _scans_of_group(group, str(reason), series.problems)
    ]
    # The scan proper comes first, what was set apart after it.
    return sorted(scans, key=lambda s: (bool(s.error), -len(s.slices)))


def _planes(slices: list[SliceHeader]) -> list[tuple[int, int, int, int]]:
    """Return what slices of one plane share; damaged ones go with the most."""
    planes = plane_numbers(slices)
    damaged = [bool(header.problem) for header in slices]
    if not any(damaged) or all(damaged):
        return planes
    sound = Counter(
        plane for plane, bad in zip(planes, damaged, strict=True) if not bad
    )
    for k, bad in enumerate(damaged):
        if bad:
            alike = {p: n for p, n in sound.items() if p[2:] == planes[k][2:]}
            planes[k] = max(alike, key=alike.__getitem__, default=planes[k])
    return planes


def _scans_of_group(
    group: list[SliceHeader], reason: str, of_series: tuple[Problem, ...]
) -> list[DicomScan]:
    group, copies = without_copies(group)
    if reason:
        return [_refused(group, reason, _next_step(reason))]
    damaged = [s for s in group if s.problem]
    if damaged:
        text = _damage(damaged)
        return [_refused(group, text, _next_step(text))]
    problems = (*of_series, *copies)
    if _is_projection(group[0]) and not _are_sections(group):
        return [_picture(header, problems) for header in group]
    return [_volume(part, problems) for part in part_images(group)]


def _are_sections(group: list[SliceHeader]) -> bool:
    """Whether images of a projection's modality lie at places one behind the other."""
    if not has_plane(group[0]):
        return False
    return int(place_numbers(heights_mm(group)).max()) + 1 >= _FEWEST_SECTIONS


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
    if has_plane(header) or _is_projection(header) or header.problem:
        return ""
    if header.sop_class == _SECONDARY_CAPTURE:
        return "a secondary capture (screen or dose picture) has no position"
    told = "; their SliceLocation is no position" if header.slice_location else ""
    return f"slices have no position or no orientation{told}"


def _damage(damaged: list[SliceHeader]) -> str:
    first = damaged[0]
    more = f" (and {len(damaged) - 1} more files)" if len(damaged) > 1 else ""
    return f"{first.path.name} {first.problem}{more}"


def _next_step(text: str) -> str:
    """Return what to do about a reason in words."""
    if " states " in text or " frames" in text:
        return _CORRECT
    if text.startswith("slices have no position"):
        return _WITH_PLACES
    return _COPY_AGAIN if ".dcm" in text or " has " in text else _OTHER_SERIES


def _is_projection(header: SliceHeader) -> bool:
    modality = header.series.acquisition.modality
    without_place = modality == "OT" and len(header.position) != 3
    return header.frames == 1 and (modality in PROJECTIONS or without_place)


def _volume(part: Part, problems: tuple[Problem, ...]) -> DicomScan:
    if part.error:
        return _refused(part.slices, part.error, _ONE_ACQUISITION)
    group, surplus = _first_of_each_place(part.slices)
    if surplus and len(group) == 1:
        return _refused(group + surplus, _at_one_place(part.slices), _ONE_ACQUISITION)
    stack = stack_slices(group)
    scales, error = mixed_scales(part.slices)
    error = error or stack.error
    if error:
        return _refused([*stack.slices, *surplus], error, _CORRECT)
    _, spacing_problems = pixel_spacing_of(group[0])
    found = [*problems, *_remarks(group[0]), *spacing_problems, *scales]
    if part.label:
        text = f"volume {part.label} of the series"
        found.append(Problem("phases", "note", text))
    return DicomScan(
        group[0].series.uid,
        stack.slices,
        stack.grid,
        stack,
        (*found, *_duplicates(surplus), *stack.problems),
        surplus=tuple(surplus),
        label=part.label,
    )


def _at_one_place(slices: list[SliceHeader]) -> str:
    text = f"no volume: all {len(slices)} slices lie at {heights_mm(slices)[0]:.2f} mm"
    if len({s.slice_location for s in slices}) > 1:
        text += ", though their SliceLocation differs: ImagePositionPatient was lost"
    return text


def _remarks(header: SliceHeader) -> list[Problem]:
    """Say what was believed of the images rather than of their modality."""
    info = header.series
    if not info.stated_modality and not _is_projection(header):
        return []
    stated = info.stated_modality or info.acquisition.modality
    text = f"the file says {stated}, but its images are sections with places: a volume"
    return [Problem("sections", "note", text)]


def _first_of_each_place(
    group: list[SliceHeader],
) -> tuple[list[SliceHeader], list[SliceHeader]]:
    """Part slices into the first of each place, by file name, and the rest."""
    group = sorted(group, key=lambda s: (s.path, s.frame))
    _, first = np.unique(place_numbers(heights_mm(group)), return_index=True)
    kept = set(first.tolist())
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


def _picture(header: SliceHeader, problems: tuple[Problem, ...]) -> DicomScan:
    spacing, found = pixel_spacing_of(header)
    grid = picture_grid(header.rows, header.columns, spacing_mm=spacing)
    told = (*problems, *mixed_scales([header])[0], *found)
    return DicomScan(header.series.uid, (header,), grid, problems=told)


def _refused(
    group: list[SliceHeader], reason: str, next_step: str = _OTHER_SERIES
) -> DicomScan:
    return DicomScan(
        group[0].series.uid, tuple(group), error=reason, next_step=next_step
    )


def _numbered(scans: list[DicomScan]) -> list[DicomScan]:
    """Give scans of one series different names: the UID, then UID#2, UID#3 ….

    Those without an identifier are named #1, #2 … where there are several.
    """
    nameless = sum(not scan.series_uid for scan in scans)
    seen: dict[str, int] = defaultdict(int)
    named = []
    for scan in scans:
        seen[scan.series_uid] += 1
        count = seen[scan.series_uid]
        uid = f"{scan.series_uid}#{count}"
        if count == 1 and (scan.series_uid or nameless < 2):
            uid = scan.series_uid
        named.append(replace(scan, series_uid=uid))
    return named
