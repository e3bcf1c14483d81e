"""What one result comes to in a table of many: a few numbers by name."""

from __future__ import annotations

from collections.abc import Iterable

from scanlearn.prediction.review import kind_of, read_review
from scanlearn.prediction.summary import Prediction
from scanlearn.scans.tables.finding_table import Finding
from scanlearn.scans.tables.results import Cell

#: Findings from this score on are counted.
COUNTED_FROM = 0.3


def overview(prediction: Prediction) -> dict[str, Cell]:
    """Return the numbers of a result, in the order of columns.

    Volumes in millilitres, shares of the lungs in percent, findings, classes with
    their probabilities, outcomes: whatever the result says.
    """
    facts = prediction.facts
    cells: dict[str, Cell] = {}
    if kind_of(prediction) is not None:
        cells |= _findings(prediction)
    whole: dict[str, Cell] = next(
        (
            p
            for p in facts.get("parts", [])
            if (p["lung"], p["part"]) == ("both", "whole")
        ),
        {},
    )
    for one in prediction.classes:
        share = whole.get(f"{one.name}_percent")
        cells |= {f"{one.name} %": share} if whole else {f"{one.name} ml": one.ml}
    if "laa950_percent" in prediction.lungs:
        cells["LAA-950 %"] = prediction.lungs["laa950_percent"]
    if "label" in facts:
        cells["label"] = ";".join(facts["label"]) or "none"
    cells |= {f"p {name}": p for name, p in facts.get("probabilities_of", {}).items()}
    cells |= facts.get("outcome", {})
    return cells


def all_columns(rows: Iterable[dict[str, Cell]]) -> list[str]:
    """Return the columns of some rows, each once, in the order they first come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _findings(prediction: Prediction) -> dict[str, Cell]:
    items = read_review(prediction).items
    told = [one for one in items if one.finding.score >= COUNTED_FROM]
    cells: dict[str, Cell] = {
        "findings": len(told),
        "best score": max((round(one.finding.score, 3) for one in told), default=None),
    }
    spheres = [one.finding for one in told if isinstance(one.finding, Finding)]
    if kind_of(prediction) is Finding:
        largest = max((one.diameter_mm for one in spheres), default=None)
        cells["largest mm"] = None if largest is None else round(largest, 1)
    cells["reviewed"] = sum(bool(one.verdict) for one in items)
    cells["real"] = sum(one.kept for one in items)
    return cells
