"""Short work in a process of its own: preparing, predicting, checking.

A job is a ``scanlearn`` command with ``--events``: it prints one event a line and ends
with ``finished`` or ``crashed``. Unlike a training it ends with whoever started it.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

from scanlearn.errors import BadRun
from scanlearn.runs.events import LAST_WORDS, Crashed, Event, parse_event
from scanlearn.runs.follow import HEARTBEAT_SECONDS
from scanlearn.runs.launch import give_way

_END = None


class Job:
    """A running command; iterate over :meth:`events` to follow it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scanlearn", *arguments, "--events"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        give_way(self._process.pid)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def events(self) -> Iterator[Event | None]:
        """Yield events as they come, and None as a heartbeat; ends with last words."""
        printed: list[str] = []
        while True:
            try:
                line = self._lines.get(timeout=HEARTBEAT_SECONDS)
            except queue.Empty:
                yield None
                continue
            if line is _END:
                yield Crashed(error="The work ended early", details="".join(printed))
                return
            try:
                event = parse_event(line)
            except BadRun:
                printed.append(line)  # a library's own words, kept for a report
                continue
            yield event
            if isinstance(event, LAST_WORDS):
                return

    def cancel(self) -> None:
        """End the command; what it was writing was written beside its place."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._process.wait()
        self._lines.put(_END)
