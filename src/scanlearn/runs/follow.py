"""Watching a run: its events as they come, with a heartbeat in between."""

from __future__ import annotations

import time
from collections.abc import Iterator

from scanlearn.runs.events import LAST_WORDS, Crashed, Event, parse_event
from scanlearn.runs.folder import RunFolder

#: napari waits for its workers when it closes, so a watcher must yield often.
HEARTBEAT_SECONDS = 0.1


def follow(
    run: RunFolder,
    *,
    from_start: bool = True,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> Iterator[Event | None]:
    """Yield a run's events as they are written, and None as a heartbeat.

    Ends after the worker's last words; a run that nobody has started yet is waited for.
    A worker that vanishes without any is reported as :class:`Crashed` with the end of
    its log, and so is a run whose folder is deleted.

    Parameters
    ----------
    run
        The run to watch.
    from_start
        Whether to tell the story so far first; otherwise what comes after this call.
    heartbeat_seconds
        Longest silence between two yields.
    """
    return _follow(run, 0 if from_start else _size(run), heartbeat_seconds)


def _follow(
    run: RunFolder, position: int, heartbeat_seconds: float
) -> Iterator[Event | None]:
    rest = b""
    while True:
        if not run.exists():
            yield Crashed(error="The folder of the run was deleted", mendable=True)
            return
        # Asked before reading: what a worker said before it ended is read below.
        alive = run.is_alive()
        chunk, position = _read_on(run, position)
        *lines, rest = (rest + chunk).split(b"\n")
        last: Event | None = None
        for line in lines:
            if line:
                last = parse_event(line)
                yield last
        if isinstance(last, LAST_WORDS) and not alive:
            return
        if not alive and last is None:
            if isinstance(run.last_event(), LAST_WORDS):
                return
            if run.process():
                yield Crashed(error="The worker vanished", details=run.crash_report())
                return
        if last is None:
            yield None
            time.sleep(heartbeat_seconds)


def _size(run: RunFolder) -> int:
    return run.events_file.stat().st_size if run.events_file.exists() else 0


def _read_on(run: RunFolder, position: int) -> tuple[bytes, int]:
    if not run.events_file.exists():
        return b"", position
    with run.events_file.open("rb") as file:
        file.seek(position)
        chunk = file.read()
    return chunk, position + len(chunk)
