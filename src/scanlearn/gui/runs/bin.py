"""Runs into the system's bin, from where they can be taken back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from qtpy.QtCore import QFile

from scanlearn.errors import BadPlace
from scanlearn.gui.shared.run_list import RunRow


def dependants(rows: Sequence[RunRow], going: Collection[Path]) -> list[RunRow]:
    """Return the runs that start from one of those that go, and stay themselves."""
    return [run for run in rows if run.start_from in going and run.path not in going]


def move_to_bin(runs: Sequence[Path]) -> None:
    """Move the folders of runs, one after the other.

    Raises
    ------
    BadPlace
        If the system does not take one; those before it are moved, it stays as it was.
    """
    for run in runs:
        if not QFile(str(run)).moveToTrash():
            raise BadPlace(
                f"The system's bin does not take {run}",
                expected="a folder on a disk that has a bin, which network disks lack",
                next_step="Look at the folder, and delete it there if you are sure",
            )
