"""The rules of the quality checks: on one scan, and on scans beside each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from scanlearn.scans.scan import Problem, Scan, Severity, is_projection

#: Fewer scans than this have no "rest" that one of them could differ from.
_FEWEST_FOR_OUTLIERS = 4

_THICK_MM = 5.0
_FEW_SLICES = 10
_SMALL_FIELD_MM = 150.0

_LOOK = "Look at the scan; exclude it if it does not belong here."


@dataclass(frozen=True)
class ScanFacts:
    """What the rules need to know of a scan; sizes are (S, P, L).

    ``shows_lungs`` and ``voxel_hash`` take the voxels; None and "" where only the
    header was read.
    """

    patient: str
    modality: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    kernel: str = ""
    body_part: str = ""
    contrast: bool = False
    slice_thickness_mm: float | None = None
    shows_lungs: bool | None = None
    voxel_hash: str = ""

    @property
    def is_radiograph(self) -> bool:
        """Whether this is a projection image, not a volume."""
        return is_projection(self.shape, self.modality)

    @property
    def height_mm(self) -> float:
        """Length of the field of view from foot to head."""
        return self.shape[0] * self.spacing_mm[0]

    @property
    def width_mm(self) -> float:
        """Length of the shorter side of the field of view across the body."""
        return min(self.shape[i] * self.spacing_mm[i] for i in (1, 2))


def own_problems(scan: Scan) -> tuple[Problem, ...]:
    """Check one scan for itself; ``scan`` has its axes in canonical order."""
    about = scan.acquisition
    facts = ScanFacts(
        patient="",
        modality=about.modality,
        shape=scan.grid.shape,
        spacing_mm=scan.grid.spacing_mm,
        slice_thickness_mm=about.slice_thickness_mm,
    )
    found = [*_value_problems(scan), *size_problems(facts)]
    is_tilted = any(problem.code == "tilt" for problem in scan.problems)
    if not (scan.is_radiograph or scan.grid.is_aligned or is_tilted):
        text = "The slices are oblique: the scan is resampled to straight axes."
        found.append(Problem("oblique", "note", text))
    return tuple(found)


def size_problems(scan: ScanFacts) -> list[Problem]:
    """Check the number, distance and extent of slices; the header is enough."""
    if scan.is_radiograph:
        return []
    found = []
    spacing, fewest = scan.spacing_mm, min(scan.shape)
    if fewest < _FEW_SLICES:
        text = f"Only {fewest} slice{'s' * (fewest != 1)}: too few for patches."
        found.append(Problem("few-slices", "warning", text, _LOOK))
    if max(spacing) > _THICK_MM:
        text = f"Slices are {max(spacing):.1f} mm apart: small things are lost."
        action = "Prefer a thin reconstruction of the same examination."
        found.append(Problem("thick-slices", "warning", text, action))
    thickness = scan.slice_thickness_mm
    if thickness and thickness < 0.7 * spacing[0]:
        text = f"Slices of {thickness:g} mm lie {spacing[0]:g} mm apart: gaps."
        found.append(Problem("slice-gaps", "warning", text, _LOOK))
    if scan.modality == "CT" and scan.width_mm < _SMALL_FIELD_MM:
        text = f"The field of view is only {scan.width_mm:.0f} mm wide."
        found.append(Problem("small-field", "note", text, _LOOK))
    return found


def _value_problems(scan: Scan) -> list[Problem]:
    low, high = float(scan.voxels.min()), float(scan.voxels.max())
    if low == high:
        text = f"Every voxel is {low:g}: the image is empty."
        return [Problem("empty", "error", text, "Exclude the scan.")]
    if scan.acquisition.modality != "CT":
        return []
    action = "Export it again with its rescale slope and intercept, or exclude it."
    if scan.acquisition.units != "HU":
        text = f"A CT without Hounsfield units: values from {low:g} to {high:g}."
        return [Problem("not-hu", "warning", text, action)]
    some = scan.voxels[:: max(1, scan.grid.shape[0] // 32)].astype(np.float32)
    dark = float(np.percentile(some, 1))
    is_told = any(problem.code == "not-hu" for problem in scan.problems)
    if not is_told and (dark > -500 or high < 0 or high > 60000):
        text = f"Values from {low:g} to {high:g} do not look like Hounsfield units."
        return [Problem("not-hu", "warning", text, action)]
    return []


def cross_problems(scans: Sequence[ScanFacts]) -> list[list[Problem]]:
    """Check scans against each other; returns the problems of each, in order."""
    found: list[list[Problem]] = [[] for _ in scans]
    _duplicates(scans, found)
    _several_of_patient(scans, found)
    # "OT", other, is what files say that do not know.
    _minority(
        scans,
        found,
        "modality",
        lambda s: "" if s.modality == "OT" else s.modality,
        severity="warning",
    )
    groups: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for number, scan in enumerate(scans):
        groups[scan.modality, scan.is_radiograph].append(number)
    for numbers in groups.values():
        group = [scans[n] for n in numbers]
        part: list[list[Problem]] = [[] for _ in group]
        _within_modality(group, part)
        for number, problems in zip(numbers, part, strict=True):
            found[number].extend(problems)
    return found


def _within_modality(group: Sequence[ScanFacts], found: list[list[Problem]]) -> None:
    _minority(
        group, found, "body part", lambda s: s.body_part.upper(), severity="warning"
    )
    _minority(group, found, "kernel", lambda s: s.kernel)
    if group[0].modality == "CT":
        _minority(
            group, found, "contrast", lambda s: "with" if s.contrast else "without"
        )
        _minority(group, found, "content", _lungs_seen, severity="warning")
    if not group[0].is_radiograph:
        _size_outliers(group, found)


def _lungs_seen(scan: ScanFacts) -> str:
    """Return what the voxels show of the body, whatever the header says."""
    if scan.shows_lungs is None:
        return ""
    return "a body with lungs" if scan.shows_lungs else "no lungs"


def _duplicates(scans: Sequence[ScanFacts], found: list[list[Problem]]) -> None:
    alike: dict[str, list[int]] = defaultdict(list)
    for number, scan in enumerate(scans):
        if scan.voxel_hash:
            alike[scan.voxel_hash].append(number)
    for numbers in alike.values():
        patients = {scans[n].patient for n in numbers}
        text = "The same voxels are in another scan" + (
            "." if len(patients) == 1 else " that has another patient: keep only one."
        )
        # The first is the one to keep; only the others are warned of.
        for number in numbers[1:]:
            action = "Exclude it: the other one stays."
            found[number].append(Problem("duplicate", "warning", text, action))


def _several_of_patient(scans: Sequence[ScanFacts], found: list[list[Problem]]) -> None:
    counts = Counter(scan.patient for scan in scans)
    if len(counts) == 1 and len(scans) >= _FEWEST_FOR_OUTLIERS:
        text = f"All {len(scans)} scans carry the same identity of a patient."
        action = (
            "None can be held out or compared then. If they are of several patients, "
            "prepare them with --patient-from (Patients, under Advanced in the dock)."
        )
        for problems in found:
            problems.append(Problem("one-patient", "warning", text, action))
        return
    for number, scan in enumerate(scans):
        if counts[scan.patient] > 1:
            text = f"One of {counts[scan.patient]} scans of this patient."
            action = "They stay on one side of every split; exclude surplus series."
            found[number].append(Problem("same-patient", "note", text, action))


def _minority(
    scans: Sequence[ScanFacts],
    found: list[list[Problem]],
    what: str,
    value_of: Callable[[ScanFacts], str],
    *,
    severity: Severity = "note",
) -> None:
    """Note scans whose value differs from that of most; unknown values are left be."""
    values = [value_of(scan) for scan in scans]
    counts = Counter(value for value in values if value)
    if len(counts) < 2:
        return
    common, most = counts.most_common(1)[0]
    known = counts.total()
    # Where no value has a majority, no scan is odder than another: all are told.
    is_mixed = most <= known / 2
    code = f"{'mixed' if is_mixed else 'other'}-{what.replace(' ', '-')}"
    for number, value in enumerate(values):
        if not value or (value == common and not is_mixed):
            continue
        rest = f"{most} of {known} have {common}"
        if is_mixed:
            rest = f"{counts[value]} of {known} have this, the rest others"
        text = f"The {what} is {value}; {rest}."
        found[number].append(Problem(code, severity, text, _LOOK))


def _size_outliers(scans: Sequence[ScanFacts], found: list[list[Problem]]) -> None:
    if len(scans) < _FEWEST_FOR_OUTLIERS:
        return
    _far_from_rest(scans, found, "slice spacing", "mm", lambda s: max(s.spacing_mm))
    _far_from_rest(
        scans, found, "slice thickness", "mm", lambda s: s.slice_thickness_mm
    )
    _far_from_rest(scans, found, "height", "mm", lambda s: s.height_mm)
    _far_from_rest(scans, found, "field of view", "mm", lambda s: s.width_mm)


def _far_from_rest(
    scans: Sequence[ScanFacts],
    found: list[list[Problem]],
    what: str,
    unit: str,
    value_of: Callable[[ScanFacts], float | None],
) -> None:
    values = [value_of(scan) for scan in scans]
    known = [value for value in values if value]
    if len(known) < _FEWEST_FOR_OUTLIERS:
        return
    usual = median(known)
    code = f"{what.replace(' ', '-')}-outlier"
    for number, value in enumerate(values):
        if value and not usual / 2 <= value <= usual * 2:
            text = f"The {what} is {value:.3g} {unit}, that of most {usual:.3g} {unit}."
            found[number].append(Problem(code, "warning", text, _LOOK))
