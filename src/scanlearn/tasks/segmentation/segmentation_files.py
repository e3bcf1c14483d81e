"""A segmentation as files, in the source grid, read again before it counts as saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from scanlearn.config.palette import class_colour
from scanlearn.prediction.exports import refuse_impossible, write_extras
from scanlearn.prediction.result_files import (
    Saving,
    densities_of,
    headline,
    kind_of_source,
    write_densities,
    write_summary,
)
from scanlearn.prediction.summary import FoundClass
from scanlearn.prediction.uncertainty import (
    PROBABILITY_STEPS,
    entropy,
    write_uncertainty,
)
from scanlearn.scans.files.write_nifti import write_nifti, write_nifti_channels
from scanlearn.scans.scan import Scan, ScanEntry
from scanlearn.scans.tables.results import Cell, write_results
from scanlearn.tasks.segmentation.segmenter import SegmentedScan

_VOLUMES = ("class", "value", "volume_ml", "sd_ml")


def save_segmentation(
    result: SegmentedScan, scan: Scan, entry: ScanEntry | None, to: Saving
) -> Path:
    """Write labels, probabilities, tables and a summary; returns the summary.

    Files are ``NAME_labels.nii.gz``, ``NAME_probabilities.nii.gz`` (fourth axis:
    background, then the classes), ``NAME_uncertainty.nii.gz`` (their entropy),
    ``NAME_volumes.csv``, for a chest CT ``NAME_densitometry.csv``, the extras, and
    ``NAME_prediction.json``, which is written last. ``entry`` is where the scan was
    read from; None for a cohort's.

    Raises
    ------
    ScanlearnError
        If a DICOM-SEG is wanted of a scan that is not DICOM.
    OSError
        If a file cannot be written, or differs when it is read again.
    """
    source = kind_of_source(entry)
    refuse_impossible([*to.extras], source)
    labels, probabilities = to.path("labels.nii.gz"), to.path("probabilities.nii.gz")
    write_nifti(labels, result.labels, result.grid)
    step = 1 / PROBABILITY_STEPS
    write_nifti_channels(probabilities, result.probabilities, result.grid, step=step)
    unsure = write_uncertainty(to, entropy(result.probabilities), result.grid)
    spread = result.sd_ml or (None,) * len(result.classes)
    classes = [
        FoundClass(
            one.value,
            one.name,
            round(result.volume_ml(one.value), 3),
            None if sd is None else round(sd, 3),
        )
        for one, sd in zip(result.classes, spread, strict=True)
    ]
    # A cohort's voxels were resampled, which changes densities.
    densities, cautions = densities_of(scan, result.lungs if entry else None)
    return write_summary(
        to,
        task="segmentation",
        source=source,
        grid=result.grid,
        tables=[_volumes(to, classes), *write_densities(to, densities, cautions)],
        facts={
            "labels": labels.name,
            "probabilities": probabilities.name,
            "uncertainty": unsure.name,
            **write_extras(to, result.labels, scan, result.grid, entry, classes),
            "classes": [
                {**asdict(one), "colour": class_colour(one.value)} for one in classes
            ],
            "lungs": headline(densities),
            "cautions": cautions,
        },
    )


def _volumes(to: Saving, classes: Sequence[FoundClass]) -> Path:
    table = to.path("volumes.csv")
    rows: list[dict[str, Cell]] = [
        {"class": c.name, "value": c.value, "volume_ml": c.ml, "sd_ml": c.sd_ml}
        for c in classes
    ]
    write_results(table, _VOLUMES, rows)
    return table
