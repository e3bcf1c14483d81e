"""Predicting on any number of scans, one after another."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.layout import Layout
from scanlearn.errors import ScanlearnError
from scanlearn.predict.exporting import refuse_impossible
from scanlearn.predict.saving import Extra, Saving, save_segmentation
from scanlearn.predict.segmenting import SegmentedScan, Segmenter
from scanlearn.predict.sources import named_scans
from scanlearn.predict.summary import read_prediction
from scanlearn.runs.events import Event, Message, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.read import OnUneven, read_scan
from scanlearn.scans.scan import Scan

Tell = Callable[[Event], None]


def predict_scans(
    run: RunFolder,
    source: Path,
    out: Path,
    *,
    series: str = "",
    overlap: float = 0.25,
    on_uneven: OnUneven = "refuse",
    extras: Collection[Extra] = (),
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
    extras
        Formats beside NIfTI and tables.
    tell
        Given an event for every step and remark.
    """
    segmenter = Segmenter(run.path)
    to = partial(Saving, out, run=run.name, extras=extras)
    if Layout(source).settings.is_file():
        return _predict_cohort(segmenter, Cohort(source), to, overlap, tell)
    scans = named_scans(source, series)
    written = []
    for name, entry in scans:
        try:
            refuse_impossible([*extras], entry.kind)
            scan = read_scan(entry, on_uneven=on_uneven)
            result = _predict_one(segmenter, scan, overlap, tell)
            summary = save_segmentation(result, scan, entry, to(name))
            for caution in read_prediction(summary).cautions:
                tell(Message(text=f"Densitometry: {caution}", severity="warning"))
            written.append(summary)
        except ScanlearnError as error:
            if len(scans) == 1:
                raise
            tell(Message(text=f"{entry.path}: {error}", severity="warning"))
    return written


def _predict_cohort(
    segmenter: Segmenter,
    cohort: Cohort,
    to: Callable[[str], Saving],
    overlap: float,
    tell: Tell,
) -> list[Path]:
    """Predict on a cohort's usable scans, whose sources are nobody's business."""
    written = []
    for key in cohort.keys():  # noqa: SIM118
        refuse_impossible([*to(key).extras], "cohort")
        scan = cohort.scan(key)
        result = _predict_one(segmenter, scan, overlap, tell)
        written.append(save_segmentation(result, scan, None, to(key)))
    return written


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
