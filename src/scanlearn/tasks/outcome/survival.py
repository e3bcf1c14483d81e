"""Survival over time by a model of proportional hazards, and where a patient lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from scanlearn.tasks.outcome.models import Floats, Outcomes


class Baseline(BaseModel):
    """Survival of a patient whose score is 0: numbers of no single patient's scan.

    ``survival[i]`` holds from ``times[i]`` on; before the first time it is 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    times: tuple[float, ...]
    survival: tuple[float, ...]

    def of(self, score: float) -> tuple[float, ...]:
        """Return the survival of a patient by the logarithm of the relative risk."""
        curve = np.asarray(self.survival) ** float(np.exp(score))
        return tuple(round(float(share), 4) for share in curve)


def baseline(y: Outcomes, scores: Floats) -> Baseline:
    """Estimate the survival at score 0 (Breslow, 1972).

    Parameters
    ----------
    y
        Times and events.
    scores
        (n,) logarithms of the relative risks of the same patients.
    """
    risks, times = np.exp(scores), np.maximum(y.value, 1e-3)
    when = np.unique(times[y.event])
    events = np.array([np.count_nonzero(y.event & (times == t)) for t in when])
    at_risk = np.array([risks[times >= t].sum() for t in when])
    survival = np.exp(-np.cumsum(events / at_risk))
    return Baseline(times=tuple(when.tolist()), survival=tuple(survival.tolist()))


def share_below(value: float, cohort: ArrayLike) -> float | None:
    """Return the share of a cohort with less than a value; of equal ones a half."""
    others = np.asarray(cohort, dtype=float)
    if not others.size:
        return None
    below = np.count_nonzero(others < value) + np.count_nonzero(others == value) / 2
    return float(below / others.size)


def sorted_rounded(values: Sequence[float] | Floats) -> tuple[float, ...]:
    """Return values in order, with four digits, so that no row of a table is told."""
    return tuple(sorted(round(float(value), 4) for value in values))
