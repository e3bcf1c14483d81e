"""A prediction as files, in the source grid, read again before it counts as saved."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scanlearn.anatomy.densitometry import (
    Density,
    densitometry,
    densitometry_cautions,
)
from scanlearn.config.palette import class_colour
from scanlearn.files import write_text
from scanlearn.predict.exporting import refuse_impossible, write_segmentation
from scanlearn.predict.figures import write_figures
from scanlearn.predict.segmenting import PROBABILITY_STEPS, SegmentedScan
from scanlearn.predict.summary import SUMMARY, FoundClass
from scanlearn.scans.results import DISCLAIMER, Cell, write_results
from scanlearn.scans.scan import Scan, ScanEntry
from scanlearn.scans.write_nifti import write_nifti, write_nifti_channels

Extra = Literal["dicom-seg", "figures"]

_VOLUMES = ("class", "value", "volume_ml")
_DENSITIES = (
    *("lung", "part", "volume_ml", "laa950_percent", "perc15_hu", "mean_hu"),
    "caution",
)


@dataclass(frozen=True, eq=False)
class Saving:
    """Where the results of one scan go, and what they are called.

    Parameters
    ----------
    folder, name
        Files are ``FOLDER/NAME_…``.
    run
        Name of the run that predicted.
    extras
        What is written beside NIfTI and tables.
    """

    folder: Path
    name: str
    run: str
    extras: Collection[Extra] = ()

    def path(self, ending: str) -> Path:
        """Return the file ``NAME_ENDING``."""
        return self.folder / f"{self.name}_{ending}"


def save_segmentation(
    result: SegmentedScan, scan: Scan, entry: ScanEntry | None, to: Saving
) -> Path:
    """Write labels, probabilities, tables and a summary; returns the summary.

    Files are ``NAME_labels.nii.gz``, ``NAME_probabilities.nii.gz`` (fourth axis:
    background, then the classes), ``NAME_volumes.csv``, for a chest CT
    ``NAME_densitometry.csv``, the extras, and ``NAME_prediction.json``, which is
    written last. ``entry`` is where the scan was read from; None for a cohort's.

    Raises
    ------
    ScanlearnError
        If a DICOM-SEG is wanted of a scan that is not DICOM.
    OSError
        If a file cannot be written, or differs when it is read again.
    """
    source = "cohort" if entry is None else entry.kind
    refuse_impossible([*to.extras], source)
    labels, probabilities = to.path("labels.nii.gz"), to.path("probabilities.nii.gz")
    write_nifti(labels, result.labels, result.grid)
    scaled = result.probabilities.astype(np.float32) / PROBABILITY_STEPS
    write_nifti_channels(probabilities, scaled, result.grid)
    classes = [
        FoundClass(one.value, one.name, round(result.volume_ml(one.value), 3))
        for one in result.classes
    ]
    # A cohort's voxels were resampled, which changes densities.
    densities, cautions = _densities(result, scan) if entry else ([], [])
    document: dict[str, Any] = {
        "run": to.run,
        "scan": to.name,
        "source": source,
        "labels": labels.name,
        "probabilities": probabilities.name,
        "tables": [file.name for file in _tables(to, classes, densities, cautions)],
        **_extras(result, scan, entry, to, classes),
        "classes": [
            {**asdict(one), "colour": class_colour(one.value)} for one in classes
        ],
        "lungs": _headline(densities),
        "cautions": cautions,
        "disclaimer": DISCLAIMER,
    }
    summary = to.folder / f"{to.name}{SUMMARY}"
    write_text(summary, json.dumps(document, indent=2))
    return summary


def _densities(result: SegmentedScan, scan: Scan) -> tuple[list[Density], list[str]]:
    """Measure the lungs of a chest CT; nothing in any other scan."""
    if result.lungs is None or not result.lungs.volume_ml:
        return [], []
    cautions = densitometry_cautions(scan.acquisition, scan.grid.spacing_mm)
    cautions += [problem.text for problem in result.lungs.problems]
    return densitometry(scan, result.lungs), cautions


def _tables(
    to: Saving,
    classes: Sequence[FoundClass],
    densities: Sequence[Density],
    cautions: Sequence[str],
) -> list[Path]:
    volumes = to.path("volumes.csv")
    rows: list[dict[str, Cell]] = [
        {"class": c.name, "value": c.value, "volume_ml": c.ml} for c in classes
    ]
    write_results(volumes, _VOLUMES, rows)
    if not densities:
        return [volumes]
    table = to.path("densitometry.csv")
    caution = {"caution": " ".join(cautions)}
    write_results(table, _DENSITIES, [_rounded(row) | caution for row in densities])
    return [volumes, table]


def _rounded(row: Density) -> dict[str, Any]:
    """Return a row without digits that no scanner measures."""
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in asdict(row).items()
    }


def _headline(densities: Sequence[Density]) -> dict[str, float]:
    """Return the numbers of both lungs whole; empty where there are none."""
    for row in densities:
        if (row.lung, row.part) == ("both", "whole"):
            return {k: v for k, v in _rounded(row).items() if isinstance(v, float)}
    return {}


def _extras(
    result: SegmentedScan,
    scan: Scan,
    entry: ScanEntry | None,
    to: Saving,
    classes: Sequence[FoundClass],
) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if entry is not None and "dicom-seg" in to.extras:
        file = write_segmentation(
            to.folder, to.name, result.labels, result.grid, entry, classes
        )
        written["dicom_seg"] = file.name
    if "figures" in to.extras:
        files = write_figures(
            to.folder, to.name, scan, result.labels, classes, title=to.run
        )
        written["figures"] = [file.name for file in files]
    return written
