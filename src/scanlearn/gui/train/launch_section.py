"""From a plan to a running training: numbers, button, what is missing, the card."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.config.run import RunConfig
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.widgets import gate, hint, primary
from scanlearn.gui.runs.run_slot import RunSlot
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.train.pace_line import PaceLine
from scanlearn.gui.train.plan_section import PlanSection
from scanlearn.runs import RunFolder


class LaunchSection(QWidget):
    """What the docks that train have in common, below their choices.

    Parameters
    ----------
    kind
        ``"pretrain"`` or ``"finetune"``: whose runs the card shows.
    noun
        What such a training is called.
    pressed
        Called by the button: asks :meth:`launch` to start something.
    config_of
        ``config_of(plan)`` returns the checked configuration of a plan; slow.
    start
        ``start(plan, report)`` writes the run and launches its worker; slow.
    text, tip
        Of the button.
    """

    changed = Signal()

    def __init__(
        self,
        kind: str,
        noun: str,
        *,
        pressed: Callable[[], object],
        config_of: Callable[[Any], RunConfig],
        start: Callable[[Any, Report], RunFolder],
        text: str,
        tip: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._noun, self._start = noun, start
        self._starting = False
        self.plan = PlanSection(PaceLine(config_of, start))
        self.button = primary(text, pressed, tip)
        self.missing = hint()
        self.notice = Notice()
        self.slot = RunSlot(kind)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for widget in (self.plan, self.button, self.missing, self.notice, self.slot):
            layout.addWidget(widget)
        self.slot.changed.connect(self.changed)
        self.slot.changed.connect(self.plan.pace.look_again)

    @property
    def busy(self) -> str:
        """Why nothing more can be started now; empty if it can."""
        if self._starting:
            return "Starting…"
        if self.slot.running:
            return f"A {self._noun} runs below; stop or detach it to start another"
        return ""

    def show_missing(self, missing: str) -> None:
        """Say on and below the button why it cannot be pressed, if so."""
        gate(self.button, missing, self.missing)

    def launch(self, plan: Any) -> None:
        """Start a training in the background, and show its card."""
        self.notice.clear()
        self.plan.pace.cancel()
        self._starting = True
        self.changed.emit()
        in_background(
            self,
            partial(self._start, plan),
            done=self._started,
            failed=self.show_failure,
        )

    def show_failure(self, failure: Failure) -> None:
        """Tell what went wrong."""
        self._starting = False
        self.notice.show_failure(failure)
        self.changed.emit()

    def _started(self, run: RunFolder) -> None:
        self._starting = False
        self.slot.show_run(run)
        shared_state().select_run(run.path)
