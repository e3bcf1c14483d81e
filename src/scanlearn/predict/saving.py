"""A prediction as files, in the source grid, read again before it counts as saved."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from scanlearn.config.palette import class_colour
from scanlearn.files import write_text, written_beside
from scanlearn.predict.segmenting import PROBABILITY_STEPS, SegmentedScan
from scanlearn.scans.write_nifti import write_nifti, write_nifti_channels

DISCLAIMER = "Not for clinical use"


def save_segmentation(
    result: SegmentedScan, folder: Path, name: str, *, run: str
) -> Path:
    """Write labels, probabilities, volumes and a summary; returns the summary.

    Files are ``NAME_labels.nii.gz``, ``NAME_probabilities.nii.gz`` (fourth axis:
    background, then the classes), ``NAME_volumes.csv`` and ``NAME_prediction.json``,
    which is written last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = folder / f"{name}_labels.nii.gz"
    probabilities = folder / f"{name}_probabilities.nii.gz"
    write_nifti(labels, result.labels, result.grid)
    scaled = result.probabilities.astype(np.float32) / PROBABILITY_STEPS
    write_nifti_channels(probabilities, scaled, result.grid)
    classes = [
        {
            "value": one.value,
            "name": one.name,
            "colour": class_colour(one.value),
            "ml": round(result.volume_ml(one.value), 3),
        }
        for one in result.classes
    ]
    _write_volumes(folder / f"{name}_volumes.csv", classes)
    summary = folder / f"{name}_prediction.json"
    document = {
        "run": run,
        "scan": name,
        "labels": labels.name,
        "probabilities": probabilities.name,
        "classes": classes,
        "disclaimer": DISCLAIMER,
    }
    write_text(summary, json.dumps(document, indent=2))
    return summary


def _write_volumes(path: Path, classes: list[dict[str, Any]]) -> None:
    with (
        written_beside(path) as draft,
        draft.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["class", "value", "volume_ml"])
        for one in classes:
            writer.writerow([one["name"], one["value"], one["ml"]])
