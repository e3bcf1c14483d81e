"""How long workers were on a run."""

from __future__ import annotations

from dataclasses import dataclass

from scanlearn.runs.events import LAST_WORDS, Event, Started


@dataclass
class WorkTime:
    """Adds up a story's time; pauses between one worker and the next do not count."""

    _before: float = 0.0
    _begun: float | None = None
    #: When the newest event was told, in seconds since 1970.
    last: float | None = None

    def add(self, event: Event) -> None:
        """Take in one more event."""
        if isinstance(event, Started):
            self._close()
            self._begun = event.time
        self.last = event.time
        if isinstance(event, LAST_WORDS):
            self._close()

    @property
    def seconds(self) -> float:
        """Time until the newest event."""
        if self._begun is None or self.last is None:
            return self._before
        return self._before + self.last - self._begun

    def _close(self) -> None:
        self._before, self._begun = self.seconds, None
