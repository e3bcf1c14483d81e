"""What commands print: progress and tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from scanlearn.runs.events import (
    LAST_WORDS,
    Crashed,
    Epoch,
    Event,
    Health,
    Message,
    Started,
    Step,
)

#: Progress and remarks; stdout is for results.
console = Console(stderr=True, highlight=False)

_LIGHTS = {"green": "green", "amber": "yellow", "red": "red"}


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


def print_text(text: str) -> None:
    """Print a result for people on stdout."""
    sys.stdout.write(text + "\n")


def print_files(files: Sequence[Path], *, as_json: bool, as_events: bool) -> None:
    """Print which files were written; a program that follows is not told here."""
    if as_json:
        print_json([str(path) for path in files])
    elif not as_events:
        for path in files:
            print_text(str(path))


def print_event(event: Event) -> None:
    """Print an event as one line, for a program that follows."""
    sys.stdout.write(event.model_dump_json() + "\n")
    sys.stdout.flush()


def print_progress(done: int, total: int, _message: str) -> None:
    """Print how far a work is as one line, for a program that follows."""
    print_event(Step(step=done, values={"total": float(total)}))


def show(events: Iterable[Event | None], *, what: str) -> Event | None:
    """Show a run's events as they come; returns the last words."""
    last: Event | None = None
    with telling(what) as tell:
        for event in events:
            if event is not None:
                tell(event)
                last = event
    return last


@contextmanager
def telling(what: str, *, as_lines: bool = False) -> Iterator[Callable[[Event], None]]:
    """Yield a function that shows an event.

    Parameters
    ----------
    what
        Name of the work on the progress bar.
    as_lines
        One JSON line an event instead of a bar.
    """
    if as_lines:
        yield print_event
        return
    with progress_bar() as bar:
        task = bar.add_task(what, total=None, curve="")
        yield lambda event: _show_on_bar(event, bar, task)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yield a progress bar; its tasks need a field ``curve``."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[curve]}"),
        console=console,
    ) as bar:
        yield bar


def _show_on_bar(event: Event, bar: Progress, task: Any) -> None:
    if isinstance(event, Started):
        bar.update(task, total=event.steps, completed=event.step)
        times = f", {event.passes:.0f} passes over the data" if event.passes else ""
        console.print(f"[dim]training on {event.device}{times}[/dim]")
    elif isinstance(event, Step):
        total = event.values.get("total")
        curve = " ".join(
            f"{k} {v:.3g}" for k, v in event.values.items() if k != "total"
        )
        bar.update(task, completed=event.step, curve=curve)
        if total is not None:
            bar.update(task, total=total)
    elif isinstance(event, Epoch):
        scores = ", ".join(f"{k} {v:.3f}" for k, v in event.values.items())
        console.print(f"step {event.step}: {scores}{' (best)' if event.best else ''}")
    elif isinstance(event, Health):
        colour = _LIGHTS[event.light]
        console.print(f"step {event.step}: [{colour}]●[/{colour}] {event.sentence}")
    elif isinstance(event, Message):
        colour = "yellow" if event.severity == "warning" else "dim"
        console.print(f"[{colour}]{event.text}[/{colour}]")
    elif isinstance(event, LAST_WORDS) and not isinstance(event, Crashed):
        bar.update(task, completed=getattr(event, "step", None))
