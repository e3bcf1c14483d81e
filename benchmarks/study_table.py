"""The table of ``phantom_study.py``, made from its pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages import write_between
from probes import r_squared
from scanlearn.metrics.class_scores import balanced_accuracy
from scanlearn.randomness import numpy_generator

PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"

_DRAWS = 2000
_REFERENCE = "untrained"

#: The arm that ablations change in one thing each.
_WHOLE = "quick"
_TARGETS: dict[str, Callable[[Any, Any], float]] = {
    "percent": r_squared,
    "subtype": balanced_accuracy,
}

Piece = dict[str, Any]
Draws = NDArray[np.float64]
Index = NDArray[np.int64]


def write_tables(results: Path) -> None:
    """Print the table, and put it between its marks in ``docs/evidence.md``."""
    pieces = [json.loads(path.read_text("utf-8")) for path in results.glob("*.json")]
    if not pieces:
        return
    tables = (_lines(pieces), _patch_lines(pieces), _ablation_lines(pieces))
    table = "\n\n".join("\n".join(lines) for lines in tables) + "\n"
    print(table)
    write_between(PAGE, "phantom study", table)


def _arms(pieces: list[Piece]) -> dict[str, list[Piece]]:
    arms: dict[str, list[Piece]] = {}
    for piece in sorted(pieces, key=lambda piece: piece["seed"]):
        arms.setdefault(piece["arm"], []).append(piece)
    return dict(sorted(arms.items(), key=lambda pair: _order(pair[1][0])))


def _lines(pieces: list[Piece]) -> list[str]:
    arms = _arms(pieces)
    lines = [
        "| arm | vector of a patient | seeds | CPU min | extent, R² | − untrained "
        "| subtype, balanced accuracy | − untrained |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arm, mine in arms.items():
        for vector in mine[0]["scores"]:
            lines.append(_row(arm, vector, mine, arms.get(_REFERENCE, [])))
    return lines


def _patch_lines(pieces: list[Piece]) -> list[str]:
    """Return the table of how much the features of a patch say of its density."""
    arms = _arms([piece for piece in pieces if "patches" in piece])
    lines = [
        "| arm | seeds | Perc15 of a patch, R² | − untrained |",
        "|---|---|---|---|",
    ]
    for arm, mine in arms.items():
        cells = [arm, str(len(mine)), _cell(_patch_draws(mine))]
        ours, theirs = _paired(mine, arms.get(_REFERENCE, []))
        if ours and arm != _REFERENCE:
            gain = _patch_draws(ours) - _patch_draws(theirs)
            cells.append(_cell(gain, sign="+"))
        else:
            cells.append("–")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _ablation_lines(pieces: list[Piece]) -> list[str]:
    """Return how every ablation differs from the preset, on the same seeds."""
    arms = _arms([piece for piece in pieces if "patches" in piece])
    lines = [
        f"| arm − {_WHOLE} | seeds | times the CPU | vector | extent, R² | subtype "
        "| Perc15 of a patch, R² |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm in [arm for arm in arms if arm not in (_REFERENCE, _WHOLE)]:
        ours, theirs = _paired(arms[arm], arms.get(_WHOLE, []))
        if not ours:
            continue
        minutes = [[piece["cpu_minutes"] for piece in some] for some in (ours, theirs)]
        cost = f"{np.mean(minutes[0]) / np.mean(minutes[1]):.1f}"
        patch = _cell(_patch_draws(ours) - _patch_draws(theirs), sign="+")
        for vector in ours[0]["scores"]:
            cells = [arm, str(len(ours)), cost, vector]
            for target in _TARGETS:
                gain = _bootstrap(ours, vector, target)
                gain = gain - _bootstrap(theirs, vector, target)
                cells.append(_cell(gain, sign="+"))
            lines.append("| " + " | ".join([*cells, patch]) + " |")
            cost = patch = ""
    return lines


def _patch_draws(pieces: list[Piece]) -> Draws:
    sums = [[piece["patches"][k] for k in ("residual", "total")] for piece in pieces]

    def score(seed: int, who: Index) -> float:
        residual, total = np.array(sums[seed])[:, who].sum(axis=1)
        return float(1 - residual / total)

    return _draws(score, seeds=len(sums), patients=len(sums[0][0]))


def _paired(
    mine: list[Piece], reference: list[Piece]
) -> tuple[list[Piece], list[Piece]]:
    pairs = [(a, b) for a in mine for b in reference if a["seed"] == b["seed"]]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _order(piece: Piece) -> tuple[bool, int, str]:
    """Measures first, then the untrained network, then by name."""
    return "steps" in piece, min(piece.get("steps", 0), 1), piece["arm"]


def _row(arm: str, vector: str, mine: list[Piece], reference: list[Piece]) -> str:
    minutes = [piece["cpu_minutes"] for piece in mine if "cpu_minutes" in piece]
    cells = [arm, vector, str(len(mine)), f"{np.mean(minutes):.1f}" if minutes else "–"]
    ours, theirs = _paired(mine, reference)
    paired = ours and arm != _REFERENCE and vector in theirs[0]["scores"]
    for target in _TARGETS:
        cells.append(_cell(_bootstrap(mine, vector, target)))
        if paired:
            gain = _bootstrap(ours, vector, target)
            gain = gain - _bootstrap(theirs, vector, target)
            cells.append(_cell(gain, sign="+"))
        else:
            cells.append("–")
    return "| " + " | ".join(cells) + " |"


def _bootstrap(pieces: list[Piece], vector: str, target: str) -> Draws:
    score = _TARGETS[target]
    truth = np.array(pieces[0]["truth"][target])
    found = [np.array(piece["scores"][vector][target]) for piece in pieces]
    return _draws(
        lambda seed, who: score(truth[who], found[seed][who]),
        seeds=len(found),
        patients=len(truth),
    )


def _draws(score: Callable[[int, Index], float], *, seeds: int, patients: int) -> Draws:
    """Return mean scores over seeds: of all, then of draws of seeds and patients.

    Draws depend on the number of seeds and patients only, so that two arms with the
    same seeds are compared on the same draws.
    """
    rng = numpy_generator(0, "bootstrap")
    every = np.arange(patients)
    draws = [np.mean([score(seed, every) for seed in range(seeds)])]
    for _ in range(_DRAWS):
        some = rng.integers(seeds, size=seeds)
        who = rng.integers(patients, size=patients)
        draws.append(np.mean([score(int(seed), who) for seed in some]))
    return np.array(draws)


def _cell(draws: Draws, *, sign: str = "") -> str:
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    return f"{draws[0]:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"
