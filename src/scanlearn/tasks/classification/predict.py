"""Classifying any number of images with a fine-tuned run: a table and maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadScan
from scanlearn.prediction.activation_figure import write_activation_figure
from scanlearn.prediction.each_scan import Request, Tell, each_scan
from scanlearn.prediction.result_files import (
    Saving,
    kind_of_source,
    with_row,
    write_summary,
)
from scanlearn.prediction.summary import read_prediction
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.files.write_nifti import write_nifti_channels
from scanlearn.scans.scan import Scan, ScanEntry
from scanlearn.scans.tables.results import Cell, write_results
from scanlearn.tasks.classification.card import ClassifierCard
from scanlearn.tasks.classification.classifier import ClassifiedImage, Classifier

#: The table of all images of a request.
TABLE = "predictions.csv"

#: In a table where no finding was seen.
_NONE = "none"


def predict_classifications(run: RunFolder, request: Request, tell: Tell) -> list[Path]:
    """Classify every image of a request; see :func:`save_classification`.

    Raises
    ------
    BadScan
        If a DICOM-SEG is asked for, which a class has not.
    """
    if "dicom-seg" in request.extras:
        raise BadScan(
            "A classification has no DICOM-SEG: it outlines nothing",
            expected="--figures, or no extra formats",
            next_step="Leave --dicom-seg out",
        )
    classifier = Classifier(run.path)
    rows: list[dict[str, Cell]] = []
    save = partial(
        save_classification, card=classifier.card, rows=rows, resume=request.resume
    )
    return each_scan(run, request, classifier.classify, save, tell)


def save_classification(
    found: ClassifiedImage,
    scan: Scan,
    entry: ScanEntry | None,
    to: Saving,
    *,
    card: ClassifierCard,
    rows: list[dict[str, Cell]],
    resume: bool = False,
) -> Path:
    """Write an image's maps and summary and all rows so far; returns the summary.

    ``NAME_activation.nii.gz`` holds a map for each class along the fourth axis, in the
    image's own grid; ``predictions.csv`` a row an image.
    """
    shown = card.said(found.probabilities)
    probabilities = [round(float(share), 4) for share in found.probabilities]
    row: dict[str, Cell] = {"scan": to.name, "label": ";".join(shown) or _NONE}
    for name, share in zip(card.classes, probabilities, strict=True):
        row[f"probability {name}"] = share
    table = to.folder / TABLE
    rows[:] = with_row(rows, row, earlier=table if resume else None)
    # Written anew with every image: what there is so far is whole.
    write_results(table, list(row), rows)
    maps = to.path("activation.nii.gz")
    write_nifti_channels(maps, found.activation, found.grid)
    summary = write_summary(
        to,
        task="classification",
        source=kind_of_source(entry),
        grid=scan.grid,
        tables=[table],
        facts={
            "maps": [maps.name],
            "label": list(shown),
            "several": card.several,
            "threshold": card.threshold,
            "probabilities_of": dict(zip(card.classes, probabilities, strict=True)),
            "held_out": card.held_out,
            "images": card.images,
            "patients": card.patients,
            "method": card.method,
        },
    )
    if "figures" in to.extras:
        write_activation_figure(to.folder, read_prediction(summary), scan)
    return summary


def doubt_of_classifications(
    run: RunFolder, cohort: Cohort, keys: Sequence[str], tell: Tell
) -> dict[str, float]:
    """Return how little sure a run is of each image: 1 is as good as guessing."""
    classifier, found = Classifier(run.path), {}
    for number, key in enumerate(keys, start=1):
        record = cohort.record(key)
        if record.is_radiograph:
            shares = classifier.stored(cohort.voxels(key), record.intensity)
            found[key] = _entropy(shares, several=classifier.card.several)
        else:
            found[key] = 0.0  # a volume is nothing to label here
        tell(Step(step=number, values={"total": float(len(keys))}))
    return found


def _entropy(shares: np.ndarray, *, several: bool) -> float:
    p = np.stack([shares, 1 - shares], axis=1) if several else shares[None]
    entropy = -(p * np.log(np.maximum(p, 1e-12))).sum(axis=1) / np.log(p.shape[1])
    return float(entropy.max() if several else entropy.mean())
