"""Outcomes of new scans: one row a scan, ``predictions.csv`` and a summary each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.layout import Layout
from scanlearn.cohort.preparation.plan import source_of
from scanlearn.errors import BadRun
from scanlearn.features.linear import LinearModel
from scanlearn.prediction.each_scan import Progress, Request, Tell, each_scan
from scanlearn.prediction.result_files import (
    Saving,
    kind_of_source,
    with_row,
    write_summary,
)
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.scan import Scan, ScanEntry
from scanlearn.scans.tables.results import Cell, write_results
from scanlearn.tasks.outcome.card import OutcomeCard, load_outcome
from scanlearn.tasks.outcome.covariates import Covariates, read_covariates
from scanlearn.tasks.outcome.learn import VECTORS, WITH_COVARIATES
from scanlearn.tasks.outcome.models import Floats
from scanlearn.tasks.outcome.survival import share_below
from scanlearn.tasks.shared.table_rows import place_of, scan_keys


def predict_outcomes(run: RunFolder, request: Request, tell: Tell) -> list[Path]:
    """Predict the outcome of every scan of a request.

    By the vectors of scans, and by covariates where the request has them.
    ``predictions.csv`` has one row a scan: the covariates, the number with the interval
    that holds nine of ten patients, the class and the probability of each, or the risk
    relative to the training's mean.

    Raises
    ------
    BadRun
        If there are covariates, and the model learned none.
    BadLabels
        If they are not those of the model.
    """
    describer, models, card = load_outcome(run.path)
    clinical = _covariates(run, card, request)
    sources = _sources(request.source) if clinical else {}
    features = WITH_COVARIATES if clinical else VECTORS
    model = models[features]
    bound = card.error_90_with_covariates if clinical else card.error_90
    rows: list[dict[str, Cell]] = []

    def predict(scan: Scan, *, progress: Progress) -> Floats:
        vector = describer.whole(describer.from_memory(scan))
        progress(1, 1)
        return np.asarray(vector, dtype=np.float64)

    def save(vector: Floats, scan: Scan, entry: ScanEntry | None, to: Saving) -> Path:
        numbers: tuple[float, ...] = ()
        if clinical:
            numbers = clinical.of(
                place_of(source_of(entry)) if entry else sources[to.name]
            )
        whole = np.concatenate([vector, numbers])
        found = said(model, card, whole, error_90=bound)
        known = dict(zip(card.covariates, numbers, strict=False))
        table = to.folder / "predictions.csv"
        earlier = table if request.resume else None
        row = {"scan": to.name, **known, **found}
        rows[:] = with_row(rows, row, earlier=earlier)
        # Written anew with every scan: what there is so far is whole.
        write_results(table, list(rows[0]), rows)
        return write_summary(
            to,
            task="outcome",
            source=kind_of_source(entry),
            grid=scan.grid,
            tables=[table],
            facts={
                "outcome": found,
                "covariates": known,
                "target": card.target,
                "kind": card.kind,
                "held_out": card.held_out,
                "patients": card.patients,
                **compared(model, card, whole, features),
            },
        )

    return each_scan(run, request, predict, save, tell)


def _covariates(
    run: RunFolder, card: OutcomeCard, request: Request
) -> Covariates | None:
    if not request.covariates:
        return None
    if not card.covariates:
        raise BadRun(
            f"{run.name} was learned without covariates",
            expected="a training with -s 'covariates=[…]'",
            next_step="Leave --covariates out",
        )
    return read_covariates(request.covariates, card.covariates)


def _sources(path: Path) -> dict[str, tuple[Path, str]]:
    """Return the source of each scan of a cohort by its key; nothing of other input."""
    if not Layout(path).settings.is_file():
        return {}
    return {key: source for source, key in scan_keys(Cohort(path)).items()}


def compared(
    model: LinearModel, card: OutcomeCard, vector: Any, features: str
) -> dict[str, Any]:
    """Return where a patient lies among those of the training, as facts of a summary.

    ``among`` has the patient's number and those of the cohort; ``curve`` the survival
    over time of the patient, and of one at the training's mean risk.
    """
    if card.classes or features not in card.cohort:
        return {}
    score = float(model.scores(np.asarray(vector)[None])[0, 0])
    value = float(np.exp(score)) if card.kind == "survival" else score
    cohort = card.cohort[features]
    told: dict[str, Any] = {
        "among": {
            "value": round(value, 4),
            "cohort": cohort,
            "share_below": share_below(value, cohort),
        }
    }
    if features in card.baselines:
        base = card.baselines[features]
        told["curve"] = {
            "times": base.times,
            "survival": base.of(score),
            "mean": base.of(0.0),
        }
    return told


def said(
    model: LinearModel, card: OutcomeCard, vector: Any, *, error_90: float | None
) -> dict[str, Cell]:
    """Return what a model says of one vector (d,), as cells of a table.

    ``error_90`` is what nine of ten held-out patients were missed by, of a number.
    """
    features = np.asarray(vector)[None]
    if card.classes:
        shares = model.probabilities(features)[0]
        found: dict[str, Cell] = {card.target: card.classes[int(shares.argmax())]}
        for name, share in zip(card.classes, shares, strict=True):
            found[f"probability {name}"] = round(float(share), 4)
        return found
    value = float(model.scores(features)[0, 0])
    if card.kind == "survival":
        return {"relative_risk": round(float(np.exp(value)), 4)}
    found = {card.target: round(value, 4)}
    if error_90 is not None:
        found[f"{card.target}_low"] = round(value - error_90, 4)
        found[f"{card.target}_high"] = round(value + error_90, 4)
    return found
