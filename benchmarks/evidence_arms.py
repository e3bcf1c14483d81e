"""Scores of a draw each, by the number of labels, from the results of benchmarks.

Each function returns what was learned without a pre-training, from one, and from its
untrained twin, the same network with new weights.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"

#: Number of labels -> a score of each draw, in the order of the draws.
Draws = dict[int, list[float]]


def hippocampus() -> tuple[Draws, Draws, Draws]:
    """Return Dice at the end; from scratch is the untrained twin."""
    plain = _segmented("hippocampus", "scratch")
    return plain, _segmented("hippocampus", "pretrained"), plain


def heart() -> tuple[Draws, Draws, Draws]:
    """Return Dice as planned, and of an earlier recipe with its twin."""
    return (
        _segmented("heart_planned", "plain"),
        _segmented("heart_slices", "pretrained"),
        _segmented("heart_slices", "scratch"),
    )


def nodules() -> tuple[Draws, Draws, Draws]:
    """Return the CPM in phantoms."""
    plain, pretrained, twin = (
        _of_pieces(RESULTS / "nodules", f"{arm}_*_scans_*.json", "scans", _cpm)
        for arm in ("scratch", "drasclr", "untrained")
    )
    return plain, pretrained, twin


def textures() -> tuple[Draws, Draws, Draws]:
    """Return balanced accuracies of emphysema patches: by hand, SwAV, its twin."""
    rows = json.loads((RESULTS / "joint" / "patches.json").read_text("utf-8"))
    plain, pretrained, twin = (
        {int(n): cell["by_seed"] for n, cell in rows["summary"][arm].items()}
        for arm in ("handmade", "swav", "untrained")
    )
    return plain, pretrained, twin


def tuberculosis() -> tuple[Draws, Draws, Draws]:
    """Return AUCs: all trained from scratch, frozen pre-trained, frozen twin."""
    return _radiographs("tuberculosis", "from scratch")


def pneumonia() -> tuple[Draws, Draws, Draws]:
    """Return AUCs: of the pixels, frozen pre-trained, frozen twin."""
    return _radiographs("pneumonia", "pixels")


def severity() -> tuple[Draws, Draws, Draws]:
    """Return accuracies of four grades; at 48 patients those of five folds of 60."""
    arms: dict[str, Draws] = {"pretrained": {}, "scratch": {}}
    with (RESULTS / "outcomes" / "compare_severity.csv").open() as file:
        for row in csv.DictReader(file):
            draws = arms[row["arm"]].setdefault(int(row["budget"]), [])
            draws.append(float(row["score"]))
    folds = {
        arm: _read("outcomes", f"{arm}.json")["held_out"]["severity"]["scans"]
        for arm in ("none", "drasclr", "untrained")
    }
    of_folds: dict[str, Draws] = {a: {48: s["accuracy"]} for a, s in folds.items()}
    return (
        of_folds["none"],
        arms["pretrained"] | of_folds["drasclr"],
        arms["scratch"] | of_folds["untrained"],
    )


def _segmented(setup: str, arm: str) -> Draws:
    def dice(piece: dict[str, Any]) -> float:
        last = max(piece["points"], key=int)
        return float(np.nanmean(piece["points"][last]))

    pattern = f"{setup}_{arm}_??_seed*.json"
    return _of_pieces(RESULTS / "mr_segmentation", pattern, "labels", dice)


def _cpm(piece: dict[str, Any]) -> float:
    return float(piece["scores"]["cpm"])


def _of_pieces(folder: Path, pattern: str, labels: str, score: Any) -> Draws:
    """Return the scores of files of one draw each, by the draw's seed."""
    found: Draws = {}
    for path in sorted(folder.glob(pattern)):
        piece = json.loads(path.read_text("utf-8"))
        found.setdefault(int(piece[labels]), []).append(score(piece))
    return found


def _radiographs(study: str, plain: str) -> tuple[Draws, Draws, Draws]:
    arms = _read("radiographs", f"{study}.json")["summary"][study]
    first, pretrained, twin = (
        {round(cell["labels"]): _drawn(cell["by_seed"]) for cell in arms[arm].values()}
        for arm in (plain, "pre-trained, frozen", "untrained, frozen")
    )
    return first, pretrained, twin


def _drawn(by_seed: list[float]) -> list[float]:
    """Return the scores of draws; where all labels are drawn it is one and the same."""
    return by_seed if len(set(by_seed)) > 1 else by_seed[:1]


def _read(folder: str, name: str) -> Any:
    return json.loads((RESULTS / folder / name).read_text("utf-8"))
