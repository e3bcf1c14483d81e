"""Share: the selected run as one file to give away, looked through before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from scanlearn.gui.kit.background import Failure
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.settings import under_home
from scanlearn.gui.kit.widgets import button, gate, heading, hint
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.runs.events import Message

_ABOUT = (
    "The model with its settings and story, as one file to give away. It holds no "
    "scans, labels or pictures, and is looked through for names of patients, files, "
    "users and machines before it is written."
)


class ShareSection(QWidget):
    """A section of the Runs dock for runs that have saved a model."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.share_button = button("Share…", self.choose, "Choose where it is written")
        self.written = hint()
        self.job = JobRow()
        self.notice = Notice()
        self._run: RunRow | None = None
        self._out = Path()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(heading("Share"))
        layout.addWidget(hint(_ABOUT))
        for widget in (self.share_button, self.job, self.written, self.notice):
            layout.addWidget(widget)
        self.job.finished.connect(self._shared)
        self.job.cancelled.connect(self._refresh)
        self.job.failed.connect(self._failed)
        self.show_run(None)

    def show_run(self, run: RunRow | None) -> None:
        """Offer to share this run; the section hides for runs without a model."""
        if (run and run.path) != (self._run and self._run.path):
            self.notice.clear()
            self.written.clear()
        self._run = run
        self.setVisible(run is not None and run.has_model)
        self._refresh()

    def choose(self) -> None:
        """Ask for the file, then write it."""
        assert self._run is not None
        usual = str(Path.home() / f"{self._run.name}.zip")
        text, _ = QFileDialog.getSaveFileName(self, "Share", usual, "Bundle (*.zip)")
        if text:
            self.share(Path(text))

    def share(self, out: Path) -> None:
        """Write the file in a process of its own."""
        assert self._run is not None
        self._out = out if out.suffix.lower() == ".zip" else Path(f"{out}.zip")
        self.notice.clear()
        self.written.clear()
        arguments = ["share", str(self._run.path), str(self._out)]
        self.job.start(arguments, f"Looking through {self._run.title}")
        self._refresh()

    def _shared(self, events: list[Any]) -> None:
        told = [event.text for event in events if isinstance(event, Message)]
        notes = "".join(f" ({text})" for text in told)
        self.written.setText(f"Written: {under_home(self._out)}{notes}")
        self._refresh()

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._refresh()

    def _refresh(self, *_: object) -> None:
        gate(
            self.share_button, "A run is being looked through" if self.job.busy else ""
        )
