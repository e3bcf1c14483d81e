"""The findings of a run on labelled scans, judged one scan after another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.metrics.average_precision import average_precision
from scanlearn.metrics.froc import (
    RATES,
    Judged,
    cpm_interval,
    froc,
    judge,
    judge_boxes,
)
from scanlearn.scans.boxes import box_iou
from scanlearn.scans.spheres import as_spheres, sphere_iou
from scanlearn.tasks.detection.box_detector import BoxDetector
from scanlearn.tasks.detection.finding_set import LabelledFindings
from scanlearn.tasks.detection.sphere_detector import Detector

#: Bounds of the bins of diameter, in millimetres.
BINS = ((0, 6), (6, 10), (10, 20), (20, np.inf))

#: Overlap of the average precision that is told.
OVERLAP = 0.1


@dataclass(frozen=True, eq=False)
class JudgedScan:
    """One labelled scan.

    Parameters
    ----------
    scan, patient
        Keys.
    judged
        By the rule of LUNA16.
    scores, overlaps
        (n,) of the findings, (n, k) intersections over unions with the nodules.
    """

    scan: str
    patient: str
    judged: Judged
    scores: NDArray[np.float64]
    overlaps: NDArray[np.float64]


Progress = Callable[[int, int], None]


def judge_scans(
    detector: Detector,
    cohort: Cohort,
    items: Sequence[LabelledFindings],
    *,
    progress: Progress = lambda done, total: None,
) -> list[JudgedScan]:
    """Detect in labelled scans of a cohort, on its grids, and judge."""

    def look(item: LabelledFindings) -> JudgedScan:
        findings = detector.detect(cohort.scan(item.scan)).findings
        spheres = as_spheres([(*f.centre, f.diameter_mm) for f in findings])
        scores = np.array([f.score for f in findings])
        judged = judge(spheres, scores, item.objects)
        overlaps = sphere_iou(spheres, item.objects)
        return JudgedScan(item.scan, item.patient, judged, scores, overlaps)

    return _each(look, items, progress)


def judge_radiographs(
    detector: BoxDetector,
    cohort: Cohort,
    items: Sequence[LabelledFindings],
    *,
    progress: Progress = lambda done, total: None,
) -> list[JudgedScan]:
    """Detect on labelled radiographs of a cohort, and judge."""

    def look(item: LabelledFindings) -> JudgedScan:
        seen = detector.find(cohort.scan(item.scan))
        judged = judge_boxes(seen.boxes, seen.scores, item.objects)
        overlaps = box_iou(seen.boxes, item.objects)
        return JudgedScan(item.scan, item.patient, judged, seen.scores, overlaps)

    return _each(look, items, progress)


def _each(
    look: Callable[[LabelledFindings], JudgedScan],
    items: Sequence[LabelledFindings],
    progress: Progress,
) -> list[JudgedScan]:
    found = []
    for number, item in enumerate(items, start=1):
        found.append(look(item))
        progress(number, len(items))
    return found


@dataclass(frozen=True)
class Bin:
    """How many nodules of some diameters were found.

    Parameters
    ----------
    name
        Such as ``"6 to 10 mm"``.
    nodules
        How many there are.
    sensitivities
        Share found at each rate of :data:`RATES`, at the thresholds of all sizes.
    """

    name: str
    nodules: int
    sensitivities: tuple[float, ...]


@dataclass(frozen=True)
class DetectionScores:
    """The scores of some judged scans.

    Parameters
    ----------
    scans, patients, nodules
        How many.
    cpm, interval
        Competition performance metric, and where 95 % of its bootstrap over patients
        lies; None for one patient.
    ap, ap_half
        Average precision at an overlap of :data:`OVERLAP`, and of a half.
    sensitivities
        At the rates of :data:`RATES`.
    threshold
        Lowest score with at most one false positive a scan.
    curve
        False positives a scan and sensitivities of the curve, as far as the rates go.
    bins
        By diameter; bins without nodules are left out, and all of them for boxes, whose
        millimetres a picture does not know.
    """

    scans: int
    patients: int
    nodules: int
    cpm: float
    interval: tuple[float, float] | None
    ap: float
    ap_half: float
    sensitivities: tuple[float, ...]
    threshold: float
    curve: dict[str, list[float]]
    bins: tuple[Bin, ...]


def score(
    scans: Sequence[JudgedScan], *, by_diameter: bool = True
) -> DetectionScores | None:
    """Return the scores of judged scans; None if they hold no nodule."""
    curve = froc([scan.judged for scan in scans])
    if curve is None:
        return None
    patients = sorted({scan.patient for scan in scans})
    by_patient = [[s.judged for s in scans if s.patient == who] for who in patients]
    scored = [(s.scores, s.overlaps) for s in scans]
    ap, ap_half = (
        average_precision(scored, overlap=overlap) or 0.0 for overlap in (OVERLAP, 0.5)
    )
    useful = curve.rates <= max(RATES)
    thresholds = [curve.threshold_at(rate) for rate in RATES]
    return DetectionScores(
        scans=len(scans),
        patients=len(patients),
        nodules=sum(len(s.judged.hits) for s in scans),
        cpm=curve.cpm,
        interval=cpm_interval(by_patient),
        ap=ap,
        ap_half=ap_half,
        sensitivities=tuple(curve.at(rate) for rate in RATES),
        threshold=curve.threshold_at(1.0),
        curve={
            "rates": curve.rates[useful].tolist(),
            "sensitivities": curve.sensitivities[useful].tolist(),
        },
        bins=tuple(_bins([s.judged for s in scans], thresholds) if by_diameter else ()),
    )


def _bins(scans: Sequence[Judged], thresholds: Collection[float]) -> list[Bin]:
    hits = np.concatenate([scan.hits for scan in scans])
    diameters = np.concatenate([scan.diameters for scan in scans])
    found = []
    for low, high in BINS:
        mine = hits[(diameters >= low) & (diameters < high)]
        if mine.size:
            shares = tuple(float((mine >= least).mean()) for least in thresholds)
            found.append(Bin(_name(low, high), mine.size, shares))
    return found


def _name(low: float, high: float) -> str:
    if not low:
        return f"below {high:g} mm"
    return f"{low:g} to {high:g} mm" if np.isfinite(high) else f"{low:g} mm and more"


def case(scan: JudgedScan, *, threshold: float) -> dict[str, Any]:
    """Return one scan as a row: what was found above a score."""
    return {
        "scan": scan.scan,
        "patient": scan.patient,
        "nodules": len(scan.judged.hits),
        "found": int((scan.judged.hits >= threshold).sum()),
        "false_positives": int((scan.judged.false >= threshold).sum()),
    }
