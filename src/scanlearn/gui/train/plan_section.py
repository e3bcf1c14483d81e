"""Numbers before commitment: on what, on how much, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFrame, QVBoxLayout, QWidget

from scanlearn.gui.kit.amounts import size_text
from scanlearn.gui.kit.background import Failure, follow_in_background
from scanlearn.gui.kit.widgets import BORDER, heading, hint
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.train.pace_line import PaceLine
from scanlearn.runs import Event, Job
from scanlearn.runs.events import Crashed, Message

#: The first look of a napari loads torch in another process.
_LOOKING = "Looking for a GPU, which takes a few seconds…"


class PlanSection(QFrame):
    """Device, scans, steps and disk of the training that would start."""

    def __init__(self, pace: PaceLine, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pace = pace
        self.setObjectName("plan")
        self.setStyleSheet(
            f"#plan {{ border: 1px solid {BORDER}; border-radius: 4px }}"
        )
        self.device = hint(shared_state().device or _LOOKING)
        self.decisions = hint()
        self.decisions.hide()
        self.numbers = hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 6)
        layout.setSpacing(2)
        layout.addWidget(heading("Plan"))
        layout.addWidget(self.device)
        layout.addWidget(self.decisions)
        layout.addWidget(self.numbers)
        layout.addWidget(self.pace)
        self._asked = False
        self._measured: Any = None
        self._size = ""

    def showEvent(self, event: Any) -> None:
        """Ask for the device when the box is first seen."""
        super().showEvent(event)
        self.ask_device()

    def ask_device(self) -> None:
        """Ask another process what it would train on; torch never loads in napari."""
        if self._asked:
            return
        self._asked = True
        if shared_state().device:  # told to another dock meanwhile
            self.device.setText(shared_state().device)
            return
        job = Job(["device"])
        self.destroyed.connect(lambda: job.cancel())
        follow_in_background(
            self,
            "the question for a GPU",
            job.events,
            received=self._told,
            failed=self._failed,
        )

    @property
    def has_card(self) -> bool:
        """Whether there is a graphics card, as far as it is known yet."""
        return self.device.text().startswith("CUDA")

    def show_decisions(self, sentences: Sequence[str]) -> None:
        """Show what was decided for these scans, a line each; nothing where nothing."""
        self.decisions.setText("\n".join(f"• {text}" for text in sentences))
        self.decisions.setVisible(bool(sentences))

    def show_plan(
        self,
        plan: Any,
        *,
        key: Any,
        cohorts: Sequence[Path],
        scans: int,
        steps: int,
        minutes: float | None,
        missing: str,
        passes: float | None = None,
    ) -> None:
        """Show the numbers of what would be started; see :class:`PaceLine`.

        The scans are those of the cohorts that it would use. With ``passes`` over the
        data there are at most so many steps.
        """
        limit = f", at most {minutes:g} min" if minutes is not None else ""
        noun = "scan" if scans == 1 else "scans"
        if (key, scans) != self._measured:
            self._measured, self._size = (key, scans), _size(cohorts)
        dose = f"{passes:g} passes, at most " if passes else ""
        self.numbers.setText(
            f"{scans:,} {noun} · {self._size} on disk\n{dose}{steps:,} steps{limit}"
        )
        self.pace.show_plan(
            plan, key=key, steps=steps, minutes=minutes, missing=missing
        )

    def _told(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Message):
                self.device.setText(event.text)
                shared_state().device = event.text
            elif isinstance(event, Crashed):
                self.device.setText("The device could not be asked for")
                self.device.setToolTip(event.error)

    def _failed(self, failure: Failure) -> None:
        self.device.setText(f"The device could not be asked for: {failure.error}")


def _size(cohorts: Sequence[Path]) -> str:
    files = [file for cohort in cohorts for file in (cohort / "scans").glob("*.npy")]
    return size_text(sum(file.stat().st_size for file in files))
