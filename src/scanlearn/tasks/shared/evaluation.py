"""What an evaluation says, whatever the task: scores, how sure they are, remarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

#: Scores of fewer patients are too few to rely on, and this is said.
FEW_PATIENTS = 10


@dataclass(frozen=True)
class Summary:
    """A score over patients.

    Parameters
    ----------
    mean, sd
        Of the patients' scores; no standard deviation of one.
    low, high
        95 % interval of the mean by Student's t; None for one patient.
    n
        How many patients.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def text(self) -> str:
        """The mean with its interval: ``"0.812 [0.78, 0.84], n = 12"``."""
        interval = ""
        if self.low is not None and self.high is not None:
            interval = f" [{self.low:.3g}, {self.high:.3g}]"
        return f"{self.mean:.3g}{interval}, n = {self.n}"


def summary_of(scores: Mapping[str, Sequence[float]]) -> Summary | None:
    """Summarise the scores of each patient's scans; None where there are none.

    A patient counts once, with the mean of the scans.
    """
    means = np.array([np.mean(values) for values in scores.values() if len(values)])
    if not means.size:
        return None
    mean = float(means.mean())
    if means.size == 1:
        return Summary(mean, None, None, None, 1)
    from scipy import stats

    sd = float(means.std(ddof=1))
    half = float(stats.t.ppf(0.975, means.size - 1)) * sd / means.size**0.5
    return Summary(mean, sd, mean - half, mean + half, means.size)


@dataclass(frozen=True)
class Evaluation:
    """Scores of a run on labels.

    Parameters
    ----------
    task, run
        What was learned, and by which run.
    mean
        The task's main scores; of the first, higher is better.
    classes
        The same of each class: a mean hides a class that is never found.
    cases
        One row a scan or patient, with keys, never names.
    remarks
        What must be said beside the numbers.
    more
        What only one task says, such as a confusion matrix.
    """

    task: str
    run: str
    mean: dict[str, Summary | float]
    classes: dict[str, dict[str, Summary | float]]
    cases: list[dict[str, Any]]
    remarks: list[str]
    more: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


def remark_on_few(patients: Iterable[str]) -> list[str]:
    """Say aloud that a test was small; nothing where it was not."""
    n = len(set(patients))
    if n >= FEW_PATIENTS:
        return []
    who = "1 patient" if n == 1 else f"{n} patients"
    return [
        f"Only {who}: the scores of the next ones may well lie outside the intervals"
    ]
