"""A made-up clinical course that depends on what is in the lungs, for outcome tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scanlearn.phantom.emphysema import Emphysema
from scanlearn.phantom.lesions import Nodule

_GRADES = (1.0, 8.0, 18.0)  # percent emphysema at which severity rises


@dataclass(frozen=True)
class Outcome:
    """A simulated course: severity 0 to 3, lung function, and time to an event."""

    severity: int
    fev1_percent: float
    time_years: float
    event: bool


def draw_outcome(
    rng: np.random.Generator, emphysema: Emphysema, nodules: tuple[Nodule, ...]
) -> Outcome:
    """Draw the course of a patient; more disease means earlier events."""
    percent = emphysema.planned_percent
    severity = int(np.searchsorted(_GRADES, percent, side="right"))
    fev1 = float(np.clip(98 - 1.6 * percent + rng.normal(0, 5), 20, 125))
    largest = max((n.diameter_mm for n in nodules), default=0.0)
    hazard = 0.09 * np.exp(0.55 * severity + 0.04 * largest)
    time, end = float(rng.exponential(1 / hazard)), float(rng.uniform(3, 8))
    return Outcome(severity, round(fev1, 1), round(min(time, end), 2), time < end)
