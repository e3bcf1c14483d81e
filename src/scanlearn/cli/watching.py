"""Following a run in the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from scanlearn.cli.output import console, print_json, print_text, show
from scanlearn.errors import BadRun, Diverged
from scanlearn.runs.events import Crashed, Event
from scanlearn.runs.folder import RunFolder
from scanlearn.runs.follow import follow
from scanlearn.runs.launch import launch


def launch_and_follow(run: RunFolder, *, as_json: bool = False) -> None:
    """Start a worker and show its story until it ends.

    Ctrl-C once stops the training and keeps its model; twice leaves it running.
    """
    console.print(f"run {run.path}", markup=False, soft_wrap=True)
    # Only what this worker says: an earlier one may have stopped or crashed.
    events = follow(run, from_start=False)
    launch(run)
    last = _until_interrupted(run, events)
    if isinstance(last, Crashed):
        if last.mendable:
            raise Diverged(last.error) if last.diverged else BadRun(last.error)
        raise RuntimeError(run.crash_report())
    if as_json:
        print_json({"run": str(run.path), "state": run.state()})
    else:
        print_text(str(run.path))


def _until_interrupted(run: RunFolder, events: Iterator[Event | None]) -> Event | None:
    try:
        return show(events, what=run.name)
    except KeyboardInterrupt:
        run.request_stop()
        console.print("stopping: the model is saved first (Ctrl-C again: leave it)")
    try:
        return show(follow(run, from_start=False), what=run.name)
    except KeyboardInterrupt:
        console.print("the training goes on in the background")
        return None
