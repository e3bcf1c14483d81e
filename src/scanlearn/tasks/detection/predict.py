"""Detecting in any number of scans with a fine-tuned run: a table of findings each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from scanlearn.anatomy.lung_places import LungPlace, lung_places
from scanlearn.anatomy.lungs import LungMask
from scanlearn.errors import BadScan
from scanlearn.prediction.each_scan import Request, Tell, each_scan
from scanlearn.prediction.lungs_file import LUNGS, write_lungs
from scanlearn.prediction.result_files import Saving, kind_of_source, write_summary
from scanlearn.prediction.review import slices_of
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Scan, ScanEntry
from scanlearn.scans.tables.finding_table import BoxFinding, write_findings
from scanlearn.scans.tables.results import Cell
from scanlearn.tasks.detection.box_detector import BoxDetector, DetectedRadiograph
from scanlearn.tasks.detection.card import (
    SliceDetectorCard,
    read_detector_card,
)
from scanlearn.tasks.detection.sphere_detector import DetectedScan, Detector

#: Ending of the table of findings.
FINDINGS = "findings.csv"


def predict_detections(run: RunFolder, request: Request, tell: Tell) -> list[Path]:
    """Detect in every scan of a request; see :func:`save_detection` for the files.

    Raises
    ------
    BadScan
        If formats are asked for that a table of findings cannot have.
    """
    if request.extras:
        raise BadScan(
            f"A detection has no {' or '.join(sorted(request.extras))}: its result is "
            "a table of findings",
            expected="no extra formats",
            next_step="Leave them out",
        )
    if isinstance(read_detector_card(run.path), SliceDetectorCard):
        boxes = BoxDetector(run.path)
        return each_scan(
            run, request, boxes.detect, partial(save_boxes, detector=boxes), tell
        )
    detector = Detector(run.path)
    detect = partial(detector.detect, overlap=request.overlap)
    save = partial(save_detection, detector=detector)
    return each_scan(run, request, detect, save, tell)


def save_detection(
    result: DetectedScan,
    scan: Scan,
    entry: ScanEntry | None,
    to: Saving,
    *,
    detector: Detector,
) -> Path:
    """Write ``NAME_findings.csv`` and a summary; returns the summary.

    Centres are in LPS millimetres, so the table fits the scan wherever it is opened.
    Beside them stand the slice, as a viewer counts from the feet up, the lung and the
    third of its height. ``NAME_lungs.npz`` tells the place of findings added later.
    """
    table, lungs = to.path(FINDINGS), result.lungs
    centres = [one.centre for one in result.findings]
    write_findings(table, result.findings, more=whereabouts(centres, scan.grid, lungs))
    known: dict[str, str] = {}
    if lungs is not None and lungs.volume_ml:
        write_lungs(to.path(LUNGS), lungs)
        known["lung_mask"] = to.path(LUNGS).name
    card = detector.card
    return write_summary(
        to,
        task="detection",
        source=kind_of_source(entry),
        grid=result.grid,
        tables=[table],
        facts={
            "shape": "sphere",
            "finding": card.finding,
            "findings": len(result.findings),
            "trained_on_mm": [round(card.smallest_mm, 1), round(card.largest_mm, 1)],
            **known,
        },
    )


def whereabouts(
    centres: Sequence[tuple[float, float, float]], grid: Grid, lungs: LungMask | None
) -> dict[str, list[Cell]]:
    """Return columns ``slice``, ``side`` and ``third`` of findings.

    Parameters
    ----------
    centres
        LPS millimetres.
    grid
        Of the scan.
    lungs
        Its mask; without one, side and third stay empty.
    """
    places = [LungPlace()] * len(centres)
    if lungs is not None:
        places = lung_places(centres, lungs.mask, lungs.grid)
    return {
        "slice": [*slices_of(centres, grid)],
        "side": [place.side for place in places],
        "third": [place.third for place in places],
    }


def save_boxes(
    result: DetectedRadiograph,
    scan: Scan,
    entry: ScanEntry | None,
    to: Saving,
    *,
    detector: BoxDetector,
) -> Path:
    """Write ``NAME_findings.csv``, in pixels of the file, and a summary."""
    table = to.path(FINDINGS)
    write_findings(table, result.findings, BoxFinding)
    return write_summary(
        to,
        task="detection",
        source=kind_of_source(entry),
        grid=result.grid,
        tables=[table],
        facts={
            "shape": "box",
            "finding": detector.card.finding,
            "findings": len(result.findings),
        },
    )
