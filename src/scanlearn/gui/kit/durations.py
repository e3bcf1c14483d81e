"""Durations as people say them, and how long a job still takes."""

from __future__ import annotations

import time
from collections.abc import Callable

#: A guess from less would jump.
_FEWEST_SECONDS = 3.0


def duration(seconds: float) -> str:
    """Say a duration as people do: ``"1 h 02 min"``, ``"45 s"``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return (
        f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
    )


class TimeLeft:
    """Tells from the pace so far when something will be done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._total = 0

    def text(self, done: int, total: int) -> str:
        """Return ``"about 40 s left"``; empty while that cannot be told."""
        now = self._clock()
        if self._first is None or total != self._total or done < self._first[1]:
            # Another part of the work has a pace of its own.
            self._first, self._total = (now, done), total
        began, at = self._first
        if now - began < _FEWEST_SECONDS or done <= at or done >= total:
            return ""
        return f"about {duration((now - began) / (done - at) * (total - done))} left"
