"""Predicting with any fine-tuned run: the task's own part does it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from scanlearn.predict.each_scan import Request, Tell
from scanlearn.predict.result_files import Extra
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.read import OnUneven
from scanlearn.tasks import task_of


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

    Parameters
    ----------
    run
        A fine-tuned run.
    source, out, series, overlap, on_uneven, extras
        See :class:`scanlearn.predict.each_scan.Request`.
    tell
        Given an event for every step and remark.
    """
    request = Request(source, out, series, overlap, on_uneven, extras)
    predict = task_of(run.config()).part("predict")
    written: list[Path] = predict(run, request, tell)
    return written
