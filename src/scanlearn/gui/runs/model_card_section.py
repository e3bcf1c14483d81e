"""The model card of the selected run: written, opened, its methods paragraph copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices, QGuiApplication
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.kit.background import Failure
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.widgets import button, gate, heading, hint, row
from scanlearn.gui.shared.run_list import RunRow

_ABOUT = (
    "Data, training, scores and what to cite, told from the run itself; names no "
    "patient, cohort or file."
)

#: In the run's folder: for a paper, and to be read.
_MARKDOWN, _PAGE = "model_card.md", "model_card.html"

#: The section that a paper takes over, and where it ends.
_METHODS, _NEXT = "## Methods", "\n## "


class ModelCardSection(QWidget):
    """A section of the Runs dock for runs that have saved a model."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.write_button = button(
            "Write", self.write, f"Writes {_PAGE} and {_MARKDOWN} into the run's folder"
        )
        self.open_button = button("Open", self.open, "Shows the card in the browser")
        self.copy_button = button(
            "Copy methods", self.copy, "The paragraph for a paper, to the clipboard"
        )
        self.job = JobRow()
        self.notice = Notice()
        self._run: RunRow | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("Model card"),
            hint(_ABOUT),
            row(self.write_button, self.open_button, self.copy_button),
            self.job,
            self.notice,
        ):
            layout.addWidget(widget)
        self.job.finished.connect(self._refresh)
        self.job.cancelled.connect(self._refresh)
        self.job.failed.connect(self._failed)
        self.show_run(None)

    def show_run(self, run: RunRow | None) -> None:
        """Tell of this run; the section hides for runs without a model."""
        if (run and run.path) != (self._run and self._run.path):
            self.notice.clear()
        self._run = run
        self.setVisible(run is not None and run.has_model)
        self._refresh()

    def write(self) -> None:
        """Write the card in a process of its own."""
        assert self._run is not None
        self.notice.clear()
        arguments = ["card", str(self._run.path)]
        for name in (_MARKDOWN, _PAGE):
            arguments += ["--out", str(self._file(name))]
        self.job.start(arguments, f"Writing the card of {self._run.title}")
        self._refresh()

    def open(self) -> None:
        """Show the card in the browser."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._file(_PAGE))))

    def copy(self) -> None:
        """Take the methods paragraph to the clipboard."""
        card = self._file(_MARKDOWN).read_text("utf-8")
        paragraph = card.split(_METHODS)[1].split(_NEXT)[0].strip()
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(paragraph)
        self.copy_button.setText("Copied")

    def _file(self, name: str) -> Path:
        assert self._run is not None
        return self._run.path / name

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._refresh()

    def _refresh(self, *_: Any) -> None:
        busy = "A card is being written" if self.job.busy else ""
        gate(self.write_button, busy)
        self.copy_button.setText("Copy methods")
        for control, name in ((self.open_button, _PAGE), (self.copy_button, _MARKDOWN)):
            there = self._run is not None and self._file(name).exists()
            gate(control, busy or ("" if there else "Write the card first"))
