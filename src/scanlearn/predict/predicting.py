"""Predicting on any number of scans, one after another."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.layout import Layout
from scanlearn.cohort.plan import stem_of
from scanlearn.errors import BadScan, ScanlearnError
from scanlearn.predict.saving import save_segmentation
from scanlearn.predict.segmenting import SegmentedScan, Segmenter
from scanlearn.runs.events import Event, Message, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import OnUneven, read_scan
from scanlearn.scans.scan import Scan, ScanEntry

Tell = Callable[[Event], None]


def predict_scans(
    run: RunFolder,
    source: Path,
    out: Path,
    *,
    series: str = "",
    overlap: float = 0.25,
    on_uneven: OnUneven = "refuse",
    tell: Tell = lambda event: None,
) -> list[Path]:
    """Predict on every scan of a file or folder; returns the summaries written.

    A scan that cannot be read is told and passed over, unless it is the only one.

    Parameters
    ----------
    run
        A fine-tuned run.
    source
        A scan, a folder of scans, or a cohort: its scans are then predicted on its own
        grids and named by their keys.
    out
        Where the results go; see :func:`scanlearn.predict.saving.save_segmentation`.
    series
        Only the series with this UID.
    overlap
        Of neighbouring windows.
    on_uneven
        As in :func:`scanlearn.scans.read.read_scan`; a scan that is resampled has its
        results on the even grid.
    tell
        Given an event for every step and remark.
    """
    segmenter = Segmenter(run.path)
    if Layout(source).settings.is_file():
        return _predict_cohort(segmenter, Cohort(source), out, run, overlap, tell)
    entries = [e for e in find_scans(source) if not series or e.series_uid == series]
    if not entries:
        raise BadScan(
            f"{source} has no series {series}",
            next_step="'scanlearn info' lists the series of a folder",
        )
    written = []
    for entry, name in zip(entries, result_names(entries), strict=True):
        try:
            scan = read_scan(entry, on_uneven=on_uneven)
            result = _predict_one(segmenter, scan, overlap, tell)
            written.append(save_segmentation(result, out, name, run=run.name))
        except ScanlearnError as error:
            if len(entries) == 1:
                raise
            tell(Message(text=f"{entry.path}: {error}", severity="warning"))
    return written


def _predict_cohort(
    segmenter: Segmenter,
    cohort: Cohort,
    out: Path,
    run: RunFolder,
    overlap: float,
    tell: Tell,
) -> list[Path]:
    """Predict on a cohort's usable scans."""
    return [
        save_segmentation(
            _predict_one(segmenter, cohort.scan(key), overlap, tell),
            out,
            key,
            run=run.name,
        )
        for key in cohort.keys()  # noqa: SIM118
    ]


def _predict_one(
    segmenter: Segmenter, scan: Scan, overlap: float, tell: Tell
) -> SegmentedScan:
    for problem in scan.problems:
        if problem.severity != "note":
            tell(Message(text=problem.text, severity="warning"))
    return segmenter.segment(
        scan,
        overlap=overlap,
        progress=lambda n, total: tell(Step(step=n, values={"total": float(total)})),
    )


def result_names(entries: list[ScanEntry]) -> list[str]:
    """Name results like their sources; equal names are numbered."""
    names: list[str] = []
    for entry in entries:
        stem = re.sub(r"[^\w.-]+", "_", stem_of(entry.path)) or "scan"
        name, n = stem, 1
        while name in names:
            n += 1
            name = f"{stem}_{n}"
        names.append(name)
    return names
