"""The page of ``mr_segmentation.py``, made from its pieces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.randomness import numpy_generator

PAGE = Path(__file__).parents[1] / "docs" / "segmentation_evidence.md"
_BEGIN, _END = "<!-- MR segmentation: begin -->\n", "<!-- MR segmentation: end -->\n"

_DRAWS = 2000

Piece = dict[str, Any]
Draws = NDArray[np.float64]


def write_page(results: Path) -> None:
    """Print the tables, and put them between their marks in the page."""
    pieces = [json.loads(path.read_text("utf-8")) for path in results.glob("*.json")]
    if not pieces:
        return
    setups = dict.fromkeys(sorted({piece["setup"] for piece in pieces}))
    blocks = []
    for setup in setups:
        mine = [piece for piece in pieces if piece["setup"] == setup]
        blocks.append("\n".join(_lines(setup, mine)))
    tables = "\n\n".join(blocks) + "\n"
    print(tables)
    page = PAGE.read_text("utf-8")
    before, rest = page.split(_BEGIN)
    after = rest.split(_END)[1]
    PAGE.write_text(before + _BEGIN + tables + _END + after, encoding="utf-8")


def _lines(setup: str, pieces: list[Piece]) -> list[str]:
    facts = pieces[0]["pretraining"]
    lines = [
        f"**{setup}**: {facts['method']}, {facts['steps']} steps on "
        f"{facts['scans']} scans without labels ({facts['cpu_minutes']:.1f} CPU min)",
        "",
        "| labels | updates | patients | seeds | from scratch | pre-trained "
        "| difference | classes: scratch; pre-trained |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for labels in sorted({piece["labels"] for piece in pieces}):
        arms = [
            {p["seed"]: p for p in pieces if (p["labels"], p["arm"]) == (labels, arm)}
            for arm in ("scratch", "pretrained")
        ]
        # Pairs only: the same patients, tiles and updates.
        seeds = sorted(arms[0].keys() & arms[1].keys())
        if seeds:
            lines += _rows(labels, *[[arm[seed] for seed in seeds] for arm in arms])
    return lines


def _rows(labels: int, scratch: list[Piece], pretrained: list[Piece]) -> list[str]:
    lines = []
    for point in sorted(scratch[0]["points"], key=int):
        ours, theirs = (_scores(some, point) for some in (pretrained, scratch))
        draws = [_draws(found) for found in (theirs, ours, ours - theirs)]
        each = "; ".join(
            " / ".join(f"{x:.3f}" for x in np.nanmean(found, axis=(0, 1)))
            for found in (theirs, ours)
        )
        cells = [str(labels), point, str(ours.shape[1]), str(len(ours))]
        cells += [_cell(draws[0]), _cell(draws[1]), _cell(draws[2], sign="+"), each]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _scores(pieces: Sequence[Piece], point: str) -> Draws:
    """Return Dice (seeds, patients, classes)."""
    return np.array([piece["points"][point] for piece in pieces])


def _draws(scores: Draws) -> Draws:
    """Return mean Dice: of all, then of draws of seeds and patients at once.

    Draws depend on the number of both only: two arms are compared on the same ones.
    """
    rng = numpy_generator(0, "bootstrap")
    seeds, patients = scores.shape[:2]
    one = np.nanmean(scores, axis=2)
    draws = [one.mean()]
    for _ in range(_DRAWS):
        some = rng.integers(seeds, size=seeds)
        who = rng.integers(patients, size=patients)
        draws.append(one[np.ix_(some, who)].mean())
    return np.array(draws)


def _cell(draws: Draws, *, sign: str = "") -> str:
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    return f"{draws[0]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
