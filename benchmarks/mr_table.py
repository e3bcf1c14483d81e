"""The page of ``mr_segmentation.py``, made from its pieces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages import write_between
from scanlearn.randomness import numpy_generator

PAGE = Path(__file__).parents[1] / "docs" / "segmentation_evidence.md"
#: Set-up -> its picture, Dice over updates.
PICTURES = {
    "hippocampus": PAGE.parent / "images" / "hippocampus.png",
    "heart, slices": PAGE.parent / "images" / "heart.png",
}

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
        lines = _lines if "pretraining" in mine[0] else _planned_lines
        blocks.append("\n".join(lines(setup, mine)))
    tables = "\n\n".join(blocks) + "\n"
    print(tables)
    for setup, picture in PICTURES.items():
        _draw([piece for piece in pieces if piece["setup"] == setup], picture)
    write_between(PAGE, "MR segmentation", tables)


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
    for labels, scratch, pretrained in _pairs(pieces):
        lines += _rows(labels, scratch, pretrained)
    return lines


def _planned_lines(setup: str, pieces: list[Piece]) -> list[str]:
    """Return a row for each number of labels and arm, with what was paid for it."""
    lines = [
        f"**{setup}**: from scratch, as planned for the cohort",
        "",
        "| labels | arm | updates | patients | seeds | Dice | classes | each seed "
        "| CPU min |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for labels, arm in sorted({(p["labels"], p["arm"]) for p in pieces}):
        mine = [p for p in pieces if (p["labels"], p["arm"]) == (labels, arm)]
        mine.sort(key=lambda piece: int(piece["seed"]))
        (point,) = mine[0]["points"]
        scores = _scores(mine, point)
        each = " / ".join(f"{x:.3f}" for x in np.nanmean(scores, axis=(1, 2)))
        classes = " / ".join(f"{x:.3f}" for x in np.nanmean(scores, axis=(0, 1)))
        minutes = np.mean([piece["cpu_minutes"] for piece in mine])
        cells = [str(labels), arm, point, str(scores.shape[1]), str(len(mine))]
        cells += [_cell(_draws(scores)), classes, each, f"{minutes:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _pairs(pieces: list[Piece]) -> list[tuple[int, list[Piece], list[Piece]]]:
    """Return labels, and pairs only: the same patients, tiles and updates."""
    found = []
    for labels in sorted({piece["labels"] for piece in pieces}):
        arms = [
            {p["seed"]: p for p in pieces if (p["labels"], p["arm"]) == (labels, arm)}
            for arm in ("scratch", "pretrained")
        ]
        seeds = sorted(arms[0].keys() & arms[1].keys())
        if seeds:
            scratch, pretrained = ([arm[seed] for seed in seeds] for arm in arms)
            found.append((labels, scratch, pretrained))
    return found


def _draw(pieces: list[Piece], picture: Path) -> None:
    """Draw Dice over updates, a panel for each number of labels."""
    from matplotlib.figure import Figure

    pairs = _pairs(pieces)
    if not pairs:
        return
    figure = Figure(figsize=(2.6 * len(pairs), 2.8), layout="constrained")
    panels = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    for panel, (labels, *arms) in zip(panels, pairs, strict=True):
        for name, colour, arm in zip(
            ("from scratch", "pre-trained"), ("#555555", "#0072b2"), arms, strict=True
        ):
            points = sorted(arm[0]["points"], key=int)
            draws = [_draws(_scores(arm, point)) for point in points]
            low, high = np.transpose([np.percentile(d[1:], [2.5, 97.5]) for d in draws])
            updates = [int(point) for point in points]
            panel.plot(updates, [d[0] for d in draws], "o-", color=colour, label=name)
            panel.fill_between(updates, low, high, color=colour, alpha=0.15, lw=0)
        panel.set_title(f"{labels} labelled")
        panel.set_xlabel("updates")
        panel.set_xscale("log")
        panel.set_xticks(updates, [str(n) for n in updates])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("Dice")
    panels[0].legend(loc="lower right", fontsize="small")
    figure.savefig(picture, dpi=120)


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
