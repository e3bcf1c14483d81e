"""Numbers before commitment: on what, on how much, for how long."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFrame, QVBoxLayout, QWidget

from scanlearn.gui.background import Failure, follow_in_background
from scanlearn.gui.widgets import BORDER, heading, hint
from scanlearn.runs import Event, Job
from scanlearn.runs.events import Crashed, Message


class PlanBox(QFrame):
    """Device, scans, steps and disk of the training that would start."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plan")
        self.setStyleSheet(
            f"#plan {{ border: 1px solid {BORDER}; border-radius: 4px }}"
        )
        self.device = hint("Looking for a GPU…")
        self.numbers = hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 6)
        layout.setSpacing(2)
        layout.addWidget(heading("Plan"))
        layout.addWidget(self.device)
        layout.addWidget(self.numbers)
        self._asked = False

    def ask_device(self) -> None:
        """Ask another process what it would train on; torch never loads in napari."""
        if self._asked:
            return
        self._asked = True
        job = Job(["device"])
        self.destroyed.connect(lambda: job.cancel())
        follow_in_background(
            self,
            "the question for a GPU",
            job.events,
            received=self._told,
            failed=self._failed,
        )

    def show_plan(
        self, *, scans: int, steps: int, minutes: float | None, cohort: Path | None
    ) -> None:
        """Show the numbers."""
        limit = f", at most {minutes:g} min" if minutes is not None else ""
        size = f" · {megabytes(cohort)} on disk" if cohort is not None else ""
        self.numbers.setText(
            f"{scans:,} scan{'s' * (scans != 1)}{size}\n{steps:,} steps{limit}; "
            "the time left is shown once it runs"
        )

    def _told(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Message):
                self.device.setText(event.text)
            elif isinstance(event, Crashed):
                self.device.setText("The device could not be asked for")
                self.device.setToolTip(event.error)

    def _failed(self, failure: Failure) -> None:
        self.device.setText(f"The device could not be asked for: {failure.error}")


def megabytes(folder: Path) -> str:
    """Return the size of a cohort's voxels with its unit."""
    total = sum(file.stat().st_size for file in (folder / "scans").glob("*.npy"))
    size = total
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
