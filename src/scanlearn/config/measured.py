"""What few labels gave where it was measured, and what follows for a start.

``measured.json`` is written by ``benchmarks/evidence.py`` from the benchmarks' results;
the page *Evidence* and the docks say the same sentences of it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

from scanlearn.config.base import Frozen

#: Written by ``benchmarks/evidence.py``.
FILE = Path(__file__).with_name("measured.json")

_ADVICE = {
    "pays": "Start from a pre-training.",
    "costs": "Start from scratch: a pre-training cost more than it gave.",
    "neither": "Start from scratch: a pre-training gave nothing beyond chance.",
}


class Measured(Frozen):
    """Scores over numbers of labels, without a pre-training and with one.

    Parameters
    ----------
    task
        Name of the task.
    on
        What was learned, on which scans.
    score, unit
        Name of the score, and what the labels are.
    labels
        How many, in rising order.
    plain, pretrained
        Mean scores of the draws at each of them.
    gains
        95 % intervals of what a pre-training added at each of them, paired by draw;
        none where there were no such pairs.
    earlier
        Whether pre-training was measured with an earlier recipe than ``plain``, and its
        gain against that one.
    """

    task: str
    on: str
    score: str
    unit: str
    labels: tuple[int, ...]
    plain: tuple[float, ...]
    pretrained: tuple[float, ...]
    gains: tuple[tuple[float, float] | None, ...]
    earlier: bool = False

    @property
    def verdict(self) -> Literal["pays", "costs", "neither"]:
        """Whether intervals lie above zero, or below; both or none is neither."""
        known = [gain for gain in self.gains if gain is not None]
        above = sum(low > 0 for low, _ in known)
        below = sum(high < 0 for _, high in known)
        if above and not below:
            return "pays"
        return "costs" if below and not above else "neither"

    def sentence(self) -> str:
        """Return the advice, and the figures it rests on, in one line."""
        ends = sorted({0, len(self.labels) - 1})
        counts, plain, pretrained, gains = (
            " and ".join(one)
            for one in (
                [str(self.labels[n]) for n in ends],
                [f"{self.plain[n]:.2f}" for n in ends],
                [f"{self.pretrained[n]:.2f}" for n in ends],
                [_between(self.gains[n]) for n in ends],
            )
        )
        told = (
            f"{plain} without; to an earlier recipe one added {gains}"
            if self.earlier
            else f"{plain} without, {pretrained} with one"
        )
        return (
            f"{_ADVICE[self.verdict]} Measured on {self.on}, {counts} {self.unit}: "
            f"{self.score} {told}."
        )


def _between(gain: tuple[float, float] | None) -> str:
    return "nothing known" if gain is None else f"{gain[0]:+.2f} to {gain[1]:+.2f}"


@cache
def all_measured() -> tuple[Measured, ...]:
    """Return what was measured, in the order of the page *Evidence*."""
    rows = json.loads(FILE.read_text("utf-8"))
    return tuple(Measured.model_validate(row) for row in rows)


def worth_of(task: str) -> str:
    """Return what the first measurement of a task says to do."""
    return next(one for one in all_measured() if one.task == task).sentence()
