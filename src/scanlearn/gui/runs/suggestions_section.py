"""Which scans next? Asked of a fine-tuned run, answered with a list."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

from qtpy.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from scanlearn.gui.kit.background import Failure
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.widgets import button, gate, heading, hint
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.tasks.registry import all_tasks

_ABOUT = (
    "Scans of patients without labels that this model doubts most, unlike each other "
    "and the labelled ones."
)
_COUNT = 5


class SuggestionsSection(QWidget):
    """A section of the Runs dock for runs whose task tells how sure it is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.suggest_button = button(
            "Which scans next?", self.suggest, "Looks at every unlabelled scan"
        )
        self.job = JobRow()
        self.notice = Notice()
        self.list = QListWidget()
        self.list.setMinimumHeight(110)
        self._run: RunRow | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="scanlearn-suggestions-"))
        self.destroyed.connect(partial(_remove, self._folder))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("Which scans to label next"),
            hint(_ABOUT),
            self.suggest_button,
            self.job,
            self.notice,
            self.list,
        ):
            layout.addWidget(widget)
        self.job.finished.connect(self._suggested)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._refresh)
        self.show_run(None)

    def show_run(self, run: RunRow | None) -> None:
        """Ask this run; the section hides for runs that cannot answer."""
        if (run and run.path) != (self._run and self._run.path):
            self._list([])
        self._run = run
        task = all_tasks().get(run.method) if run is not None else None
        self.setVisible(task is not None and task.doubts)
        self._refresh()

    def suggest(self) -> None:
        """Look at the scans in a process of its own."""
        assert self._run is not None
        self.notice.clear()
        self._list([])
        arguments = ["suggest", str(self._run.path), str(self._run.cohorts[0])]
        arguments += ["--n", str(_COUNT), "--out", str(self._folder / "scans.json")]
        self.job.start(arguments, "Looking at unlabelled scans")
        self._refresh()

    def _suggested(self, _events: list[Any]) -> None:
        found = json.loads((self._folder / "scans.json").read_text("utf-8"))
        self._list(
            [f"{one['key']} · doubt {one['doubt']:.2f}" for one in found]
            or ["Every patient of the cohort has labels"]
        )
        self._refresh()

    def _list(self, lines: list[str]) -> None:
        self.list.clear()
        for line in lines:
            self.list.addItem(QListWidgetItem(line))
        self.list.setVisible(bool(lines))

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._refresh()

    def _refresh(self) -> None:
        missing = "" if self._run and self._run.has_model else "No model is saved yet"
        gate(self.suggest_button, "Scans are looked at" if self.job.busy else missing)


def _remove(folder: Path, _gone: object = None) -> None:
    rmtree(folder, ignore_errors=True)
