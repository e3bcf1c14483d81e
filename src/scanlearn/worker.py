"""The machines' door: ``python -m scanlearn.worker RUN`` trains a run.

``accelerate launch -m scanlearn.worker RUN`` and ``torchrun -m scanlearn.worker RUN``
train it on several GPUs.
"""

from __future__ import annotations

import sys

from scanlearn.app import train_run
from scanlearn.errors import ScanlearnError
from scanlearn.runs.events import Crashed
from scanlearn.runs.folder import RunFolder


def main(arguments: list[str]) -> int:
    """Train the run whose folder is named; returns the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m scanlearn.worker RUN\n")
        return 2
    try:
        return _train(RunFolder(arguments[0]))
    except ScanlearnError as error:  # no run, or one that has a worker already
        sys.stderr.write(f"{error}\n")
        return 2


def _train(run: RunFolder) -> int:
    status = 0
    for event in train_run(run):
        if isinstance(event, Crashed):
            sys.stderr.write(f"{event.details}\n")
            status = 2 if event.mendable else 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
