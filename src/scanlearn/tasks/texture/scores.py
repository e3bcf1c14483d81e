"""How well texture classes are told apart at labelled places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.texture import TextureConfig
from scanlearn.errors import BadLabels
from scanlearn.metrics.class_scores import balanced_accuracy
from scanlearn.prediction.each_scan import Tell
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.shared.evaluation import Evaluation, Summary, remark_on_few
from scanlearn.tasks.texture.card import load_texture
from scanlearn.tasks.texture.labels import Place, PlaceSet, collect_places
from scanlearn.tasks.texture.learn_frozen import class_numbers, describe


def evaluate_texture(
    run: RunFolder,
    labels: Path,
    cohort: Cohort,
    tell: Tell,
    *,
    ignore_reference: bool = False,
) -> Evaluation:
    """Classify the labelled places of a cohort and compare.

    Places of the split ``test`` alone, where the table has any. Else those of patients
    that the run was not trained on, where there are any.
    """
    config = run.config().section(TextureConfig)
    describer, model, card = load_texture(run.path)
    ignored = ignore_reference or config.ignore_reference
    config = config.model_copy(
        update={"classes": card.classes, "ignore_reference": ignored}
    )
    truth = collect_places(labels, cohort, config)
    chosen, remarks = _chosen(truth.places, PlaceSet.load(run.inputs).places)
    known = {one.value for one in card.classes}
    chosen = [place for place in chosen if place.label in known]
    places, scores = [], []
    total = float(len({place.scan for place in chosen}))
    for number, (message, mine, features) in enumerate(
        describe(describer, cohort.path, chosen), start=1
    ):
        places += mine
        scores.append(model.scores(features))
        tell(Step(step=number, values={"total": total}))
        if message is not None:
            tell(message)
    if not places:
        raise BadLabels(
            f"{labels} has no place that could be classified",
            expected="places on scans of the kind that the run was trained on",
            next_step="Choose other labels or another cohort",
        )
    guess = np.concatenate(scores).argmax(axis=1)
    y = class_numbers(places, card.classes)
    names = [one.name for one in card.classes]
    patients = [place.patient for place in places]
    few = remark_on_few(patients)
    return Evaluation(
        task="texture",
        run=run.name,
        mean=_mean(y, guess),
        classes=_classes(y, guess, names),
        cases=_cases(places, y, guess),
        remarks=[*few, *remarks, *_missing(y, names)],
        more={"confusion": {"names": names, "counts": confusion(y, guess, len(names))}},
    )


def confusion(
    truth: NDArray[np.int_], guess: NDArray[np.int_], classes: int
) -> list[list[int]]:
    """Return how many places of each class (row) were taken for each (column)."""
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (truth, guess), 1)
    table: list[list[int]] = counts.tolist()
    return table


def _chosen(
    places: Sequence[Place], trained: Sequence[Place]
) -> tuple[list[Place], list[str]]:
    test = [place for place in places if place.split == "test"]
    if test:
        return test, [f"The {len(test)} places of the split 'test'"]
    seen = {place.patient for place in trained if place.split != "test"}
    fresh = [place for place in places if place.patient not in seen]
    if fresh:
        left = len(places) - len(fresh)
        said = f"{left} places are of patients that were trained on: left out"
        return fresh, [said] if left else []
    return list(places), [
        "All these patients were trained on: the scores say how well the labels were "
        "learned, not how good the model is on others"
    ]


def _mean(y: NDArray[np.int_], guess: NDArray[np.int_]) -> dict[str, Summary | float]:
    return {
        "balanced accuracy": balanced_accuracy(y, guess),
        "accuracy": float((y == guess).mean()),
    }


def _classes(
    y: NDArray[np.int_], guess: NDArray[np.int_], names: Sequence[str]
) -> dict[str, dict[str, Summary | float]]:
    found: dict[str, dict[str, Summary | float]] = {}
    for index, name in enumerate(names):
        mine, theirs = y == index, guess == index
        row: dict[str, Summary | float] = {"n": float(mine.sum())}
        if mine.any():
            row["found"] = float((guess[mine] == index).mean())
        if theirs.any():
            row["right"] = float((y[theirs] == index).mean())
        found[name] = row
    return found


def _cases(
    places: Sequence[Place], y: NDArray[np.int_], guess: NDArray[np.int_]
) -> list[dict[str, Any]]:
    of_patient: dict[str, Counter[str]] = {}
    for place, truth, mine in zip(places, y, guess, strict=True):
        counts = of_patient.setdefault(place.patient, Counter())
        counts["places"] += 1
        counts["right"] += int(truth == mine)
    return [{"patient": key, **counts} for key, counts in of_patient.items()]


def _missing(y: NDArray[np.int_], names: Sequence[str]) -> list[str]:
    return [
        f"No place of the class '{name}': it is in no score"
        for index, name in enumerate(names)
        if not (y == index).any()
    ]
