"""Predicting with any fine-tuned run: the task's own part does it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from scanlearn.errors import BadRun
from scanlearn.prediction.each_scan import Request, Tell
from scanlearn.prediction.result_files import Extra
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.read import OnUneven
from scanlearn.tasks.task import Task


def predict_scans(
    task: Task,
    run: RunFolder,
    source: Path,
    out: Path,
    *,
    series: str = "",
    overlap: float = 0.25,
    on_uneven: OnUneven = "refuse",
    extras: Collection[Extra] = (),
    views: int = 1,
    covariates: str = "",
    resume: bool = False,
    tell: Tell = lambda event: None,
) -> list[Path]:
    """Predict on every scan of a file or folder; returns the summaries written.

    Parameters
    ----------
    task
        What the run learned.
    run
        A fine-tuned run.
    source, out, series, overlap, on_uneven, extras, views, covariates, resume
        See :class:`scanlearn.prediction.each_scan.Request`.
    tell
        Given an event for every step and remark.

    Raises
    ------
    BadRun
        If several views are asked of a task that has one, or covariates given to one
        that takes none.
    """
    if views > 1 and not task.views:
        raise BadRun(
            f"{run.name} (task {task.offer.title}) looks at a scan in one way only",
            expected="a segmentation",
            next_step="Leave --views out: its result says how sure it is without",
        )
    if covariates and not task.covariates:
        raise BadRun(
            f"{run.name} (task {task.offer.title}) takes no covariates",
            expected="an outcome that was learned with covariates",
            next_step="Leave --covariates out",
        )
    request = Request(
        source, out, series, overlap, on_uneven, extras, views, covariates, resume
    )
    return task.predict(run, request, tell)
