"""Where two runs find something else in the same scans, and in which scans most."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from scanlearn.files import write_text
from scanlearn.prediction.each_scan import Tell
from scanlearn.prediction.label_difference import (
    Disagreement,
    compared,
    no_label_maps,
)
from scanlearn.prediction.summary import read_predictions
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.shared.predict_scans import predict_scans
from scanlearn.tasks.task import Task

#: The list, beside the folders of what each run predicted.
LIST = "disagreement.json"
SIDES = ("one", "other")


def disagree(
    runs: Sequence[tuple[RunFolder, Task]], source: Path, out: Path, tell: Tell
) -> list[Disagreement]:
    """Predict with two runs and compare; the scans they disagree on most come first.

    Parameters
    ----------
    runs
        Both, each with what it learned.
    source
        A scan, a folder of scans or a cohort.
    out
        Gets a folder of predictions for each, ``one/`` and ``other/``, and the list.
    tell
        Given an event for every step and remark.

    Raises
    ------
    BadRun
        If one of them makes no label maps.
    """
    for run, task in runs:
        if not task.label_maps:
            raise no_label_maps(run.name)
    for side, (run, task) in zip(SIDES, runs, strict=True):
        predict_scans(task, run, source, out / side, tell=tell)
    one, other = (read_predictions(out / side) for side in SIDES)
    its = {prediction.scan: prediction for prediction in other}
    found = [compared(mine, its[mine.scan]) for mine in one if mine.scan in its]
    found.sort(key=lambda each: -each.value)
    rows = [asdict(each) for each in found]
    write_text(out / LIST, json.dumps(rows, indent=1))
    return found
