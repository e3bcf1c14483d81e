"""Name and voxel size of a new cohort, and the job that prepares it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QLineEdit, QVBoxLayout, QWidget

from scanlearn.cohort.exclusions import write_exclusions
from scanlearn.cohort.layout import Source
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.scratch_folder import scratch_folder
from scanlearn.gui.kit.settings import cohorts_folder
from scanlearn.gui.kit.widgets import combo, gate, heading, labelled, primary
from scanlearn.gui.scans.prepare_options import PrepareOptions
from scanlearn.runs import Event
from scanlearn.runs.events import Message

_SAYS_NOTHING = ("scans", "dicom", "dcm", "images", "data", "nifti")

#: What is told of a scan that could not be prepared begins so.
NOT_PREPARED = "not prepared: "

#: What is told of the cohort as a whole begins so.
_WHOLE = "this cohort: "

_UNEVEN = (
    ("leave such scans out", "refuse"),
    ("fill slices in, with a warning", "resample"),
)


class PrepareForm(QWidget):
    """Prepares what was opened.

    ``prepared`` gives the cohort's folder, what is told of scans that failed, and of
    the cohort as a whole.
    """

    prepared = Signal(object, list, list)
    failed = Signal(object)
    started = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = QLineEdit()
        self.name.setPlaceholderText("such as chest-2026")
        self.name.setToolTip("A cohort of this name is extended if it exists")
        self.spacing = QDoubleSpinBox()
        self.spacing.setRange(0.0, 10.0)
        self.spacing.setSingleStep(0.5)
        self.spacing.setSuffix(" mm")
        self.spacing.setSpecialValueText("automatic (1 mm for CT)")
        self.spacing.setToolTip("Voxel size of the prepared scans")
        self.uneven = combo("Some scans have missing or unevenly spaced slices")
        for text, choice in _UNEVEN:
            self.uneven.addItem(text, choice)
        self.uneven_row = labelled("Uneven", self.uneven)
        self.uneven_row.setVisible(False)
        self.options = PrepareOptions()
        self.button = primary(
            "Prepare cohort", self._start, "Checks the scans and makes them a cohort"
        )
        self.job = JobRow()
        self.job.finished.connect(self._finished)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._refresh)
        self.name.textChanged.connect(self._refresh)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(heading("Make a cohort of these scans"))
        layout.addWidget(labelled("Name", self.name))
        layout.addWidget(labelled("Voxel size", self.spacing))
        layout.addWidget(self.uneven_row)
        layout.addWidget(self.options)
        layout.addWidget(self.button)
        layout.addWidget(self.job)
        self._input: Path | None = None
        self._scans: Path | None = None  # what was open last
        self._exclusions: dict[Source, str] = {}
        self._folder = scratch_folder(self, "prepare")
        self._missing = "Open a folder of scans first"
        self._refresh()

    def set_input(self, path: Path | None, readable: int) -> None:
        """Say what would be prepared; None when nothing is open."""
        if path is not None:
            if self._scans not in (None, path):
                self.options.forget_masks()
            self._scans = path
        self._input = path
        self._missing = "" if readable else "None of the files is a readable scan"
        if path is None:
            self._missing = "Open a folder of scans first"
        elif not self.name.isModified():
            # Only her own words stay: another folder must not extend the last cohort.
            self.name.setText(_suggested(path))
        self._refresh()

    def set_uneven(self, count: int) -> None:
        """Ask what to do with scans of uneven slices where there are any."""
        self.uneven_row.setVisible(count > 0)
        self.uneven.setToolTip(
            f"{count} scan{'s' * (count != 1)} with missing or unevenly spaced slices"
        )

    def set_exclusions(self, exclusions: Mapping[Source, str]) -> None:
        """Say which scans are left out, and why."""
        self._exclusions = dict(exclusions)

    def _refresh(self) -> None:
        missing = self._missing
        if not missing and not re.fullmatch(r"[\w][\w. -]*", self.name.text()):
            missing = "Give the cohort a name of letters, digits, - and _"
        if self.job.busy:
            missing = "Preparing is going on"
        gate(self.button, missing)

    @property
    def cohort(self) -> Path:
        """Folder of the cohort that is named."""
        return cohorts_folder() / self.name.text().strip()

    def _start(self) -> None:
        assert self._input is not None
        self.started.emit()
        arguments = ["prepare", str(self._input), str(self.cohort)]
        if self.spacing.value():
            arguments += ["--spacing", f"{self.spacing.value():g}"]
        if self.uneven_row.isVisibleTo(self):
            arguments += ["--uneven", str(self.uneven.currentData())]
        arguments += self.options.arguments()
        if self._exclusions:
            table = self._folder / "exclusions.csv"
            write_exclusions(table, self._exclusions)
            arguments += ["--exclusions", str(table)]
        self._made = self.cohort
        self.job.start(arguments, f"Preparing {self.cohort.name}")
        self._refresh()

    def _finished(self, events: list[Event]) -> None:
        self._refresh()
        warned = [event.text for event in events if isinstance(event, Message)]
        self.prepared.emit(
            self._made, _told(warned, NOT_PREPARED), _told(warned, _WHOLE)
        )

    def _failed(self, failure: object) -> None:
        self._refresh()
        self.failed.emit(failure)


def _told(texts: list[str], beginning: str) -> list[str]:
    return [
        text.removeprefix(beginning) for text in texts if text.startswith(beginning)
    ]


def _suggested(path: Path) -> str:
    """Return the name of a folder, or of the one above where it says nothing."""
    telling = path.parent if path.name.lower() in _SAYS_NOTHING else path
    return re.sub(r"[^\w.-]+", "-", telling.stem)
