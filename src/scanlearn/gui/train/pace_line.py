"""About how long a training would take, with how much memory and disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from scanlearn.config.run import RunConfig, merge
from scanlearn.gui.kit.amounts import size_text
from scanlearn.gui.kit.background import (
    Failure,
    Report,
    follow_in_background,
    in_background,
)
from scanlearn.gui.kit.durations import duration
from scanlearn.gui.kit.settings import runs_folder
from scanlearn.gui.kit.widgets import button, gate, hint, row
from scanlearn.runs import Event, RunFolder, follow
from scanlearn.runs.events import Crashed
from scanlearn.runs.pace import Pace, find_pace, pace_of, same_costs

#: A training only long enough to be timed; on a slow device it ends after a minute.
_FEW_STEPS = {
    "engine": {
        "steps": 12,
        "minutes": 1.0,
        "log_every": 1,
        "save_every": 1000,
        "validate_every": 1000,
    }
}


class PaceLine(QWidget):
    """The pace of an earlier training like it, or a button that measures it.

    Parameters
    ----------
    config_of
        Gives the configuration of a plan; slow.
    start
        Writes the run of a plan and launches it; slow. A plan has a ``path`` and
        ``changes``, which are laid over its preset.
    """

    def __init__(
        self,
        config_of: Callable[[Any], RunConfig],
        start: Callable[[Any, Report], RunFolder],
    ) -> None:
        super().__init__()
        self._config_of, self._start = config_of, start
        self.text = hint()
        self.measure_button = button(
            "Measure", self.measure, "Trains a dozen steps and throws them away"
        )
        self.cancel_button = button("Cancel", self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.text)
        buttons = row(self.measure_button, self.cancel_button)
        layout.addWidget(buttons)
        layout.setAlignment(buttons, Qt.AlignmentFlag.AlignLeft)
        self._key: Any = None
        self._plan: Any = None
        self._steps, self._missing = 0, ""
        self._minutes: float | None = None
        self._config: RunConfig | None = None
        self._pace: Pace | None = None
        self._measured: list[tuple[RunConfig, Pace]] = []
        self.trial: RunFolder | None = None
        self._busy = False
        self._why_not = ""
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.cancel)
        self._tell()

    def show_plan(
        self, plan: Any, *, key: Any, steps: int, minutes: float | None, missing: str
    ) -> None:
        """Tell about a plan.

        Parameters
        ----------
        plan
            What would be started.
        key
            Equal for plans that take the same time a step.
        steps, minutes
            Its length, and its limit.
        missing
            Why it cannot be measured now, if so.
        """
        self._plan, self._missing = plan, missing
        self._steps, self._minutes = steps, minutes
        if key != self._key:
            self._key = key
            self._pace, self._config, self._why_not = None, None, ""
            self._look_up(plan, key)
        self._tell()

    def look_again(self) -> None:
        """Look for a pace once more: a training has ended."""
        if self._plan is not None and self._pace is None:
            self._look_up(self._plan, self._key)

    def measure(self) -> None:
        """Train a few steps in a folder of their own."""
        folder = Path(tempfile.mkdtemp(prefix="scanlearn-plan-"))
        changes: Mapping[str, Any] = merge(dict(self._plan.changes), _FEW_STEPS)
        if hasattr(self._config and self._config.recipe, "unlabelled"):
            # To label every scan on the way would take longer than the trial.
            changes = merge(dict(changes), {"recipe": {"unlabelled": False}})
        trial = replace(self._plan, path=folder / "trial", changes=changes)
        self.destroyed.connect(partial(_remove, folder))
        self._busy, self._why_not = True, ""
        self._tell()
        in_background(
            self,
            partial(self._start, trial),
            done=self._follow,
            failed=self._failed,
        )

    def cancel(self) -> None:
        """End measuring."""
        self._busy = False
        if self.trial is not None:
            _remove(self.trial.path.parent)
            self.trial = None
        self._tell()

    def _follow(self, trial: RunFolder) -> None:
        self.trial = trial
        if not self._busy:  # cancelled before it had begun
            self.cancel()
            return
        follow_in_background(
            self,
            "the measuring of a training's pace",
            lambda: follow(trial),
            received=self._hear,
            failed=self._failed,
            ended=partial(self._over, trial),
        )

    def _hear(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Crashed) and self._busy:
                self._why_not = event.error

    def _over(self, trial: RunFolder) -> None:
        if trial is not self.trial:
            return

        def work(_report: Report) -> tuple[RunConfig, Pace | None]:
            return trial.config(), pace_of(trial)

        in_background(self, work, done=self._take, failed=self._failed)

    def _take(self, found: tuple[RunConfig, Pace | None]) -> None:
        config, pace = found
        if pace is not None:
            self._measured.append((config, pace))
            self._choose(None)
        self.cancel()

    def _failed(self, failure: Failure) -> None:
        self._why_not = str(failure.error)
        self.cancel()

    def _look_up(self, plan: Any, key: Any) -> None:
        def work(_report: Report) -> tuple[RunConfig, Pace | None]:
            config = self._config_of(plan)
            return config, find_pace(runs_folder(), config)

        def done(found: tuple[RunConfig, Pace | None]) -> None:
            if key == self._key:
                self._config, pace = found
                self._choose(pace)

        # An impossible setting is told on Start.
        in_background(self, work, done=done, failed=lambda _failure: None)

    def _choose(self, pace: Pace | None) -> None:
        config = self._config
        if config is not None:
            fitting = (p for c, p in self._measured if same_costs(c, config))
            self._pace = pace or next(fitting, None)
        self._tell()

    def _tell(self) -> None:
        known = self._pace is not None and not self._busy
        self.measure_button.setVisible(not known and not self._busy)
        self.cancel_button.setVisible(self._busy)
        gate(self.measure_button, self._missing)
        if self._busy:
            self.text.setText("Measuring: a dozen steps are trained on trial…")
        elif self._pace is not None:
            self.text.setText(described(self._pace, self._steps, self._minutes))
        elif self._why_not:
            self.text.setText(f"It could not be measured: {self._why_not}")
        else:
            self.text.setText("How long it takes here is not known yet.")


def described(pace: Pace, steps: int, minutes: float | None) -> str:
    """Say a pace as people read it, always as an estimate."""
    seconds = steps * pace.seconds
    if minutes is not None:
        seconds = min(seconds, 60 * minutes)
    time = f"about {duration(seconds)} ({pace.seconds:.2g} s a step)"
    parts = [f"{size_text(pace.disk_bytes)} on disk"]
    if pace.memory_bytes:
        parts.insert(0, f"{size_text(pace.memory_bytes)} of memory")
    return f"{time}\nabout {' and '.join(parts)}"


def _remove(folder: Path, _gone: object = None) -> None:
    """End a trial, if it goes on, and take its folder away."""
    if (folder / "trial" / "config.yaml").is_file():
        RunFolder(folder / "trial").kill()
    shutil.rmtree(folder, ignore_errors=True)
