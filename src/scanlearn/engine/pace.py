"""How fast a training goes, and when its time is up."""

from __future__ import annotations

import time


class Pace:
    """Clock of one stretch of training.

    Parameters
    ----------
    first_step, steps
        The steps of this stretch: the next one and the last.
    minutes
        Time limit of this stretch, if any.
    """

    def __init__(self, *, first_step: int, steps: int, minutes: float | None) -> None:
        self._first, self.steps, self._minutes = first_step, steps, minutes
        self._begun = time.monotonic()

    def seconds_left(self, step: int) -> float | None:
        """Estimate the time to the end from the mean step so far."""
        done = step - self._first
        if done <= 0:
            return None
        elapsed = time.monotonic() - self._begun
        left = elapsed / done * (self.steps - step)
        return left if self._minutes is None else min(left, self._limit() - elapsed)

    def is_over(self) -> bool:
        """Whether the time limit has passed."""
        return time.monotonic() - self._begun >= self._limit()

    def _limit(self) -> float:
        return float("inf") if self._minutes is None else self._minutes * 60
