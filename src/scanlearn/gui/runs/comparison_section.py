"""Was pre-training worth it? Asked of a fine-tuned run, answered with a curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QLineEdit, QSpinBox, QVBoxLayout, QWidget

from scanlearn.documents import parse_json, read_text
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.preview_picture import PreviewPicture
from scanlearn.gui.kit.settings import runs_folder
from scanlearn.gui.kit.widgets import button, gate, heading, hint, labelled
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.runs import RunFolder

_ABOUT = (
    "Trains this run's task again and again, from its pre-training and from a new "
    "network, with more and more labelled patients, and tests on others. Takes as long "
    "as that many trainings; cancelled, it goes on later."
)


class ComparisonSection(QWidget):
    """A section of the Runs dock for a run that was fine-tuned from a pre-training."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.budgets = QLineEdit()
        self.budgets.setPlaceholderText("1, 2, 5, 10 … as the labels allow")
        self.budgets.setToolTip("Labelled patients of each training, such as 1,2,5")
        self.repeats = QSpinBox()
        self.repeats.setRange(1, 50)
        self.repeats.setValue(5)
        self.repeats.setToolTip("Each with other patients; fewer than 5 prove little")
        self.compare_button = button(
            "Compare", self.compare, "Starts, or goes on where it was cancelled"
        )
        self.job = JobRow()
        self.notice = Notice()
        self.picture = PreviewPicture()
        self._run: RunRow | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("Was pre-training worth it?"),
            hint(_ABOUT),
            labelled("Patients", self.budgets),
            labelled("Repeats", self.repeats),
            self.compare_button,
            self.job,
            self.notice,
            self.picture,
        ):
            layout.addWidget(widget)
        self.job.finished.connect(self._compared)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._refresh)
        self.budgets.textChanged.connect(self._show_last)
        self.repeats.valueChanged.connect(self._show_last)
        self.show_run(None)

    def show_run(self, run: RunRow | None) -> None:
        """Ask about this run; the section hides for runs without a pre-training."""
        fits = run is not None and run.kind == "finetune" and run.start_from is not None
        changed = (run and run.path) != (self._run and self._run.path)
        self._run = run
        self.setVisible(fits)
        if changed:
            self._show_last()
        self._refresh()

    def compare(self) -> None:
        """Train and test in a process of its own."""
        assert self._run is not None
        path, folder = self._run.path, self._folder()
        budgets, repeats = self.budgets.text(), self.repeats.value()
        self.notice.clear()

        def work(_report: Report) -> list[str]:
            return _arguments(RunFolder(path), budgets, repeats, folder)

        in_background(self, work, done=self._start, failed=self._failed)
        gate(self.compare_button, "Starting…")

    def _start(self, arguments: list[str]) -> None:
        self.job.start(arguments, "Trainings of the comparison")
        self._refresh()

    def _folder(self) -> Path:
        """Return where this comparison lives: asked again, it is found again."""
        assert self._run is not None
        budgets = "-".join(self.budgets.text().replace(",", " ").split()) or "auto"
        name = f"{self._run.name}_compare_{budgets}_{self.repeats.value()}"
        return runs_folder() / name

    def _compared(self, _events: list[Any]) -> None:
        self._show_last()
        self._refresh()

    def _show_last(self, *_: object) -> None:
        self.picture.setVisible(False)
        if self._run is None:
            return
        verdict = self._folder() / "verdict.json"
        if not verdict.exists():
            return
        try:
            said = ". ".join(parse_json(read_text(verdict))["sentences"]) + "."
        except (OSError, ValueError, KeyError, TypeError):
            return  # damaged: comparing again writes it again
        self.picture.show_picture(verdict.with_name("curves.png"), said)
        self.picture.setVisible(True)

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._refresh()

    def _refresh(self) -> None:
        busy = "The comparison is running" if self.job.busy else ""
        gate(self.compare_button, busy)


def _arguments(run: RunFolder, budgets: str, repeats: int, out: Path) -> list[str]:
    """Return the command that compares a run's training with one from scratch."""
    config = run.config()
    assert config.start_from is not None
    arguments = ["compare", str(config.cohorts[0]), "--task", config.recipe.name]
    arguments += ["--labels", str(run.inputs), "--from", str(config.start_from)]
    arguments += ["--config", str(run.path / "config.yaml"), "--out", str(out)]
    arguments += ["--repeats", str(repeats)]
    if budgets.strip():
        arguments += ["--budgets", budgets]
    return arguments
