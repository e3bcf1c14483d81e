"""The machines' door: ``python -m scanlearn.worker RUN`` trains a run.

On a machine with several graphics cards it starts a process for each. ``accelerate
launch -m scanlearn.worker RUN`` and ``torchrun -m scanlearn.worker RUN`` do so on
several machines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from scanlearn import app
from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.run import RunConfig
from scanlearn.engine.devices import count_processes
from scanlearn.engine.several_processes import in_processes, is_one_of_several
from scanlearn.errors import ScanlearnError, of_the_world
from scanlearn.pretraining.method import Method
from scanlearn.pretraining.registry import method_of
from scanlearn.runs.events import Crashed, Event
from scanlearn.runs.folder import RunFolder
from scanlearn.runs.signals import signals_noted
from scanlearn.streams import make_heedless
from scanlearn.tasks.registry import task_of
from scanlearn.tasks.task import Task


def main(arguments: list[str]) -> int:
    """Train the run whose folder is named; returns the exit status."""
    make_heedless("stdout")
    make_heedless("stderr")
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m scanlearn.worker RUN\n")
        return 2
    try:
        run = RunFolder(arguments[0])
        count = _processes(run)
        if count > 1:
            return in_processes(count, train_alone, str(run.path))
        return _train(run)
    except (ScanlearnError, OSError) as error:
        # No run, one that has a worker already, or a disk that takes no more.
        sys.stderr.write(f"{of_the_world(error) or error}\n")
        return 2


def train_run(run: RunFolder) -> Iterator[Event]:
    """Train a run in this process, from where it stands; yields its events.

    A signal that would end the process saves the model first.
    """
    learnable = learned_by(run.config())
    with signals_noted() as stop_asked:
        yield from app.train_run(run, learnable, stop_asked=stop_asked)


def learned_by(config: RunConfig) -> Method | Task:
    """Return the method or task that settings name."""
    return method_of(config) if config.kind == "pretrain" else task_of(config)


def train_alone(path: str) -> int:
    """Train a run in this process, which may be one of several; returns the status."""
    return main([path])


def _processes(run: RunFolder) -> int:
    """Return how many processes this one shall start; 1 if it trains by itself."""
    if is_one_of_several():
        return 1
    config = run.config()
    sizes = config.recipe.shared_sizes
    try:
        count = count_processes(config.engine, sizes)
        if count > 1 and config.kind == "pretrain":
            # Each needs two patients of every batch, for they are told apart.
            records = (r for path in config.cohorts for r in Cohort(path).records())
            pairs = len({record.patient for record in records}) // 2
            count = count_processes(config.engine, sizes, most=max(1, pairs))
    except (ScanlearnError, OSError):
        return 1  # the training will tell
    return count


def _train(run: RunFolder) -> int:
    status = 0
    for event in train_run(run):
        if isinstance(event, Crashed):
            sys.stderr.write(f"{event.details}\n")
            status = 2 if event.mendable and not event.diverged else 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
