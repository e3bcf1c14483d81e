"""The table of ``phantom_study.py``, made from its pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.evaluate.probes import balanced_accuracy, r_squared
from scanlearn.randomness import numpy_generator

PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"
_BEGIN, _END = "<!-- phantom study: begin -->\n", "<!-- phantom study: end -->\n"

_DRAWS = 2000
_REFERENCE = "untrained"
_TARGETS: dict[str, Callable[[Any, Any], float]] = {
    "percent": r_squared,
    "subtype": balanced_accuracy,
}

Piece = dict[str, Any]
Draws = NDArray[np.float64]


def write_tables(results: Path) -> None:
    """Print the table, and put it between its marks in ``docs/evidence.md``."""
    pieces = [json.loads(path.read_text("utf-8")) for path in results.glob("*.json")]
    if not pieces:
        return
    table = "\n".join(_lines(pieces)) + "\n"
    print(table)
    page = PAGE.read_text("utf-8")
    before, rest = page.split(_BEGIN)
    after = rest.split(_END)[1]
    PAGE.write_text(before + _BEGIN + table + _END + after, encoding="utf-8")


def _lines(pieces: list[Piece]) -> list[str]:
    arms: dict[str, list[Piece]] = {}
    for piece in sorted(pieces, key=lambda piece: piece["seed"]):
        arms.setdefault(piece["arm"], []).append(piece)
    lines = [
        "| arm | vector of a patient | seeds | CPU min | extent, R² | − untrained "
        "| subtype, balanced accuracy | − untrained |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arm, mine in sorted(arms.items(), key=lambda pair: _order(pair[1][0])):
        for vector in mine[0]["scores"]:
            lines.append(_row(arm, vector, mine, arms.get(_REFERENCE, [])))
    return lines


def _order(piece: Piece) -> tuple[bool, int, str]:
    """Measures first, then the untrained network, then by name."""
    return "steps" in piece, min(piece.get("steps", 0), 1), piece["arm"]


def _row(arm: str, vector: str, mine: list[Piece], reference: list[Piece]) -> str:
    minutes = [piece["cpu_minutes"] for piece in mine if "cpu_minutes" in piece]
    cells = [arm, vector, str(len(mine)), f"{np.mean(minutes):.1f}" if minutes else "–"]
    pairs = [(a, b) for a in mine for b in reference if a["seed"] == b["seed"]]
    paired = pairs and arm != _REFERENCE and vector in reference[0]["scores"]
    for target in _TARGETS:
        cells.append(_cell(_bootstrap(mine, vector, target)))
        if paired:
            ours, theirs = zip(*pairs, strict=True)
            gain = _bootstrap(list(ours), vector, target)
            gain = gain - _bootstrap(list(theirs), vector, target)
            cells.append(_cell(gain, sign="+"))
        else:
            cells.append("–")
    return "| " + " | ".join(cells) + " |"


def _bootstrap(pieces: list[Piece], vector: str, target: str) -> Draws:
    """Return mean scores over seeds: of all, then of draws of seeds and patients.

    Draws depend on the number of seeds and patients only, so that two arms with the
    same seeds are compared on the same draws.
    """
    score = _TARGETS[target]
    truth = np.array(pieces[0]["truth"][target])
    found = [np.array(piece["scores"][vector][target]) for piece in pieces]
    rng = numpy_generator(0, "bootstrap")
    draws = [np.mean([score(truth, one) for one in found])]
    for _ in range(_DRAWS):
        seeds = rng.integers(len(found), size=len(found))
        who = rng.integers(len(truth), size=len(truth))
        draws.append(np.mean([score(truth[who], found[k][who]) for k in seeds]))
    return np.array(draws)


def _cell(draws: Draws, *, sign: str = "") -> str:
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    return f"{draws[0]:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"
