"""How well outcomes of patients are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.outcome import OutcomeConfig
from scanlearn.errors import BadLabels
from scanlearn.prediction.each_scan import Tell
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.outcome.card import OutcomeCard, load_outcome
from scanlearn.tasks.outcome.labels import OutcomeSet, PatientOutcome, collect_outcomes
from scanlearn.tasks.outcome.learn import (
    VECTORS,
    WITH_COVARIATES,
    describe_whole,
    of_patients,
    outcomes_of,
)
from scanlearn.tasks.outcome.models import Floats, Outcomes, interval, score
from scanlearn.tasks.shared.evaluation import Evaluation, Summary, remark_on_few


def evaluate_outcome(
    run: RunFolder, labels: Path, cohort: Cohort, tell: Tell
) -> Evaluation:
    """Predict the patients of a table and compare.

    Patients that the run was trained on are left out; where there are no others, the
    scores of the training's own held-out folds are given, baselines beside them.
    """
    describer, models, card = load_outcome(run.path)
    config = run.config().section(OutcomeConfig)
    asked = config.model_copy(update={"target": card.target, "kind": card.kind})
    truth = collect_outcomes(labels, cohort, asked)
    trained = OutcomeSet.load(run.inputs).patients
    seen = {patient.patient for patient in trained if patient.split != "test"}
    fresh = [patient for patient in truth.patients if patient.patient not in seen]
    if not fresh:
        return _by_folds(run, card)
    _check_classes(truth, card)
    keys = {key for patient in fresh for key in patient.scans}
    vectors: dict[str, Floats] = {}
    for message, scan, vector in describe_whole(describer, cohort.path, keys):
        vectors[scan.key] = vector
        tell(Step(step=len(vectors), values={"total": float(len(keys))}))
        if message is not None:
            tell(message)
    known = [patient for patient in fresh if set(patient.scans) & set(vectors)]
    y = outcomes_of(known, truth)
    sets = {VECTORS: of_patients(known, vectors)}
    if WITH_COVARIATES in models:
        clinical = np.array([patient.covariates for patient in known])
        sets[WITH_COVARIATES] = np.hstack([sets[VECTORS], clinical])
    scores = {name: models[name].scores(x) for name, x in sets.items()}
    remarks = remark_on_few(patient.patient for patient in known)
    left = len(truth.patients) - len(fresh)
    if left:
        remarks.append(f"{left} patients were trained on: left out")
    rows = {name: _summaries(y, found, run) for name, found in scores.items()}
    return Evaluation(
        task="outcome",
        run=run.name,
        mean=rows[VECTORS],
        classes=rows,
        cases=_cases(known, scores[VECTORS]),
        remarks=remarks,
        more={"held_out_in_training": card.held_out},
    )


def _by_folds(run: RunFolder, card: OutcomeCard) -> Evaluation:
    rows: dict[str, dict[str, Summary | float]] = {
        name: dict(found) for name, found in card.held_out.items()
    }
    few = remark_on_few(str(n) for n in range(card.patients))
    said = (
        "All these patients were trained on: the scores are of the training's "
        "cross-validation, each patient by a model of the others"
    )
    return Evaluation(
        "outcome", run.name, rows.get(VECTORS, {}), rows, [], [*few, said]
    )


def _check_classes(truth: OutcomeSet, card: OutcomeCard) -> None:
    unknown = [name for name in truth.classes if name not in card.classes]
    if unknown or truth.classes != card.classes[: len(truth.classes)]:
        raise BadLabels(
            f"The classes of {card.target} are {', '.join(truth.classes)}",
            expected=f"those that were learned: {', '.join(card.classes)}",
            next_step="Evaluate on patients of all classes, coded alike",
        )


def _summaries(
    y: Outcomes, scores: Floats, run: RunFolder
) -> dict[str, Summary | float]:
    found: dict[str, Summary | float] = {}
    for name, value in score(y, scores).items():
        ends = interval(y, scores, name, seed=run.config().engine.seed)
        low, high = ends or (None, None)
        found[name] = Summary(value, None, low, high, len(scores))
    return found


def _cases(patients: Sequence[PatientOutcome], scores: Floats) -> list[dict[str, Any]]:
    return [
        {"patient": patient.patient, "value": patient.value, "scores": row.tolist()}
        for patient, row in zip(patients, scores, strict=True)
    ]
