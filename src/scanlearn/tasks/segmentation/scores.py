"""Agreement of label maps: overlap, distance of surfaces, volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.paint import IGNORED
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.errors import BadLabels
from scanlearn.metrics.overlap import dice, iou
from scanlearn.metrics.surfaces import surface_distances
from scanlearn.prediction.each_scan import Tell
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.segmentation.labels import collect_maps
from scanlearn.tasks.segmentation.segmenter import (
    Segmenter,
    SliceSegmenter,
    segmenter_of,
)
from scanlearn.tasks.shared.evaluation import (
    Evaluation,
    Summary,
    remark_on_few,
    summary_of,
)
from scanlearn.tasks.shared.label_set import LabelItem, LabelSet

#: Scores of a class, in the order they are printed.
SCORES = ("dice", "iou", "surface_mm", "hd95_mm", "true_ml", "predicted_ml")


def compare_label_maps(
    truth: NDArray[np.generic],
    guess: NDArray[np.generic],
    grid: Grid,
    *,
    names: dict[int, str],
    whole: bool = True,
) -> dict[str, dict[str, float | None]]:
    """Return the scores of each class, by name; None where there is nothing to score.

    Beside them ``voxels`` says how many were labelled with the class: none at all make
    an IoU of 1 where none were guessed either.

    Parameters
    ----------
    truth
        Class values, :data:`IGNORED` where unlabelled.
    guess
        Class values.
    grid
        Of both.
    names
        Name of each class value.
    whole
        Whether all of the scan is labelled. The surface and the volume of a few
        painted slices say nothing of the structure: they are None then.
    """
    found = {}
    for value, name in names.items():
        true, guessed = truth == value, guess == value
        known = guessed & (truth != IGNORED)
        scores = {"dice": dice(true, known), "iou": iou(true, known)}
        if whole:
            scores["surface_mm"], scores["hd95_mm"] = surface_distances(
                true, guessed, grid
            )
            scores["true_ml"] = float(true.sum()) * grid.voxel_ml
            scores["predicted_ml"] = float(guessed.sum()) * grid.voxel_ml
        found[name] = {n: _number(scores.get(n, math.nan)) for n in SCORES}
        found[name]["voxels"] = float(true.sum())
    return found


def evaluate_segmentation(
    run: RunFolder,
    labels: Path,
    cohort: Cohort,
    tell: Tell,
    *,
    ignore_reference: bool = False,
) -> Evaluation:
    """Segment the labelled scans of a cohort, on its grids, and compare.

    Scans that the run was trained on are listed, but left out of the summaries as
    soon as there is another.
    """
    config = run.config().section(SegmentationConfig)
    segmenter = segmenter_of(run.path)
    names = {one.value: one.name for one in segmenter.card.classes}
    truth = collect_maps(
        labels, cohort, config, known=names, ignore_reference=ignore_reference
    )
    unknown = [truth.names[value] for value in sorted(set(truth.names) - set(names))]
    if not set(truth.names) & set(names):
        raise BadLabels(
            f"{labels} has the classes {', '.join(unknown)}, of which {run.name} "
            "learned none",
            expected=f"classes among {', '.join(names.values())}",
            next_step="Choose the labels of this task",
        )
    seen = {item.patient for item in LabelSet.load(run.inputs).items}
    cases: list[dict[str, Any]] = []
    for number, item in enumerate(truth.items, start=1):
        scores = _scores(segmenter, cohort, item, names)
        trained = item.patient in seen
        cases.append(
            {"scan": item.scan, "patient": item.patient, "trained_on": trained}
            | {"labelling": item.how.labelling, "classes": scores}
        )
        tell(Step(step=number, values={"total": float(len(truth.items))}))
    fresh = [case for case in cases if not case["trained_on"]]
    classes = {name: _summaries(fresh or cases, name) for name in names.values()}
    return Evaluation(
        task="segmentation",
        run=run.name,
        mean=_mean(fresh or cases),
        classes=classes,
        cases=cases,
        remarks=[*_remarks(cases, fresh, unknown), *truth.joined],
    )


def _scores(
    segmenter: Segmenter | SliceSegmenter,
    cohort: Cohort,
    item: LabelItem,
    names: dict[int, str],
) -> dict[str, dict[str, float | None]]:
    guess = segmenter.segment(cohort.scan(item.scan)).labels
    whole = item.how.labelling == "dense"
    return compare_label_maps(item.read(), guess, item.grid, names=names, whole=whole)


def _summaries(
    cases: Sequence[dict[str, Any]], name: str
) -> dict[str, Summary | float]:
    found: dict[str, Summary | float] = {}
    for score in SCORES:
        values: dict[str, list[float]] = {}
        for case in cases:
            value = case["classes"][name][score]
            if value is not None:
                values.setdefault(case["patient"], []).append(value)
        summary = summary_of(values)
        if summary is not None:
            found[score] = summary
    found["support"] = float(sum(case["classes"][name]["voxels"] > 0 for case in cases))
    return found


def _mean(cases: Sequence[dict[str, Any]]) -> dict[str, Summary | float]:
    """Return the mean Dice over the classes of each scan."""
    values: dict[str, list[float]] = {}
    for case in cases:
        known = [s["dice"] for s in case["classes"].values() if s["dice"] is not None]
        if known:
            values.setdefault(case["patient"], []).append(float(np.mean(known)))
    summary = summary_of(values)
    return {"dice": summary} if summary is not None else {}


def _remarks(
    cases: Sequence[dict[str, Any]],
    fresh: Sequence[dict[str, Any]],
    unknown: Sequence[str],
) -> list[str]:
    remarks = remark_on_few(case["patient"] for case in fresh or cases)
    trained = len(cases) - len(fresh)
    if not fresh:
        remarks.append(
            "All these patients were trained on: the scores say how well the labels "
            "were learned, not how good the model is on others"
        )
    elif trained:
        remarks.append(
            f"{trained} of {len(cases)} scans are of patients that were trained on; "
            "they are not in the means"
        )
    if any(case["labelling"] != "dense" for case in cases):
        remarks.append(
            "Some scans are labelled in part: Dice is over their labelled voxels, "
            "surfaces and volumes are left out"
        )
    remarks += [f"The run did not learn {name}" for name in unknown]
    remarks.append("Compared on the cohort's grid")
    return remarks


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
