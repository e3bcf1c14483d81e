"""What the docks share: the current scans and cohort, the runs on disk."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from scanlearn.gui.kit.settings import cohorts_folder, runs_folder
from scanlearn.gui.shared.run_ends import RunEnds
from scanlearn.gui.shared.run_list import RunList


class DockState(QObject):
    """One object for all docks, so that each shows what the others did."""

    cohorts_changed = Signal()
    run_selected = Signal(object)
    #: A prediction is being corrected; carries the run that made it.
    correcting = Signal(object)
    #: A scan was shown to be predicted on; carries the name of its layer.
    scan_opened = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.runs = RunList(runs_folder)
        self.ends = RunEnds(self.runs)
        self.cohort: Path | None = None
        self._elsewhere: list[Path] = []
        #: What trainings run on; empty until a process has told.
        self.device = ""

    def cohorts(self) -> list[Path]:
        """Return the cohorts of the folder and those opened from elsewhere."""
        inside = sorted(file.parent for file in cohorts_folder().glob("*/cohort.yaml"))
        outside = [path for path in self._elsewhere if path not in inside]
        return inside + outside

    def choose_cohort(self, cohort: Path | None) -> None:
        """Make a cohort the current one in every dock."""
        self.cohort = cohort
        if cohort is not None and cohort not in self.cohorts():
            self._elsewhere.append(cohort)
        self.cohorts_changed.emit()

    def select_run(self, run: Path) -> None:
        """Make a run the one that docks show."""
        self.run_selected.emit(run)
        self.runs.refresh()


@cache
def shared_state() -> DockState:
    """Return the state of this napari."""
    return DockState()


def are_radiographs(cohort: Path) -> bool:
    """Whether all scans of a cohort that trainings use are single images."""
    try:
        with (cohort / "catalogue.csv").open(newline="", encoding="utf-8") as stream:
            used = [row for row in csv.DictReader(stream) if not row["excluded"]]
            return bool(used) and all(row["shape"].startswith("1x") for row in used)
    except (OSError, KeyError):  # still being prepared
        return False


def count_scans(cohort: Path) -> int:
    """Count the scans of a cohort that trainings use."""
    try:
        with (cohort / "catalogue.csv").open(newline="", encoding="utf-8") as stream:
            return sum(1 for row in csv.DictReader(stream) if not row["excluded"])
    except (OSError, KeyError):  # still being prepared
        return sum(1 for _ in (cohort / "scans").glob("*.json"))
