"""What the docks share: the current scans and cohort, the runs on disk."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from scanlearn.gui.kit.settings import cohorts_folder, runs_folder
from scanlearn.gui.shared.run_ends import RunEnds
from scanlearn.gui.shared.run_list import RunList
from scanlearn.gui.shared.session import remember, remembered_folder


@dataclass(frozen=True)
class OfferedLabels:
    """Labels of a scan for the Fine-tune dock, from another one.

    Parameters
    ----------
    task
        Whose labels they are.
    source
        What :meth:`scanlearn.gui.tasks.shared.label_panel.LabelPanel.take` takes.
    cohort
        Of their scan, where it is known.
    """

    task: str
    source: object
    cohort: Path | None


class DockState(QObject):
    """One object for all docks, so that each shows what the others did."""

    cohorts_changed = Signal()
    run_selected = Signal(object)
    #: A prediction is being corrected; carries the run that made it.
    correcting = Signal(object)
    #: A scan was shown to be predicted on; carries the name of its layer.
    scan_opened = Signal(str)
    labels_offered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.runs = RunList(runs_folder)
        self.ends = RunEnds(self.runs)
        self._elsewhere: list[Path] = []
        before = remembered_folder("cohort")
        self.cohort: Path | None = before if _is_cohort(before) else None
        if self.cohort is not None and self.cohort not in self.cohorts():
            self._elsewhere.append(self.cohort)
        #: What trainings run on; empty until a process has told.
        self.device = ""
        #: What the Fine-tune dock has not taken yet; it may not be open.
        self.offered: list[OfferedLabels] = []

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
        remember(cohort=str(cohort or ""))
        self.cohorts_changed.emit()

    def offer_labels(self, offered: OfferedLabels) -> None:
        """Hand labels to the Fine-tune dock; they wait until it is open."""
        self.offered.append(offered)
        self.labels_offered.emit()

    def select_run(self, run: Path) -> None:
        """Make a run the one that docks show."""
        self.run_selected.emit(run)
        self.runs.refresh()


@cache
def shared_state() -> DockState:
    """Return the state of this napari."""
    return DockState()


def _is_cohort(folder: Path | None) -> bool:
    return folder is not None and (folder / "cohort.yaml").is_file()


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
