"""Outcomes of new scans: one row a scan, ``predictions.csv`` and a summary each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scanlearn.predict.each_scan import Progress, Request, Tell, each_scan
from scanlearn.predict.result_files import Saving, kind_of_source, write_summary
from scanlearn.probing.linear import LinearModel
from scanlearn.probing.outcome_file import OutcomeCard, load_outcome
from scanlearn.probing.outcome_fit import VECTORS
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.results import Cell, write_results
from scanlearn.scans.scan import Scan, ScanEntry


def predict_outcomes(run: RunFolder, request: Request, tell: Tell) -> list[Path]:
    """Predict the outcome of every scan of a request.

    By the vectors of scans alone. ``predictions.csv`` has one row a scan: the number
    with the interval that holds nine of ten patients, the class and the probability of
    each, or the risk relative to the training's mean.
    """
    describer, models, card = load_outcome(run.path)
    model = models[VECTORS]
    rows: list[dict[str, Cell]] = []

    def predict(scan: Scan, *, progress: Progress) -> dict[str, Cell]:
        vector = describer.whole(describer.from_memory(scan))
        progress(1, 1)
        return said(model, card, np.asarray(vector, dtype=np.float64))

    def save(
        found: dict[str, Cell], scan: Scan, entry: ScanEntry | None, to: Saving
    ) -> Path:
        rows.append({"scan": to.name, **found})
        table = to.folder / "predictions.csv"
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
                "target": card.target,
                "kind": card.kind,
                "held_out": card.held_out,
                "patients": card.patients,
            },
        )

    return each_scan(run, request, predict, save, tell)


def said(model: LinearModel, card: OutcomeCard, vector: Any) -> dict[str, Cell]:
    """Return what a model says of one vector (d,), as cells of a table."""
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
    if card.error_90 is not None:
        found[f"{card.target}_low"] = round(value - card.error_90, 4)
        found[f"{card.target}_high"] = round(value + card.error_90, 4)
    return found
