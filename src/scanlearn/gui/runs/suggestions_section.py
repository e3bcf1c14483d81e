"""Which scans next? Asked of a fine-tuned run, answered with a list that opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.scratch_folder import scratch_folder
from scanlearn.gui.kit.widgets import button, gate, heading, hint
from scanlearn.gui.runs.suggested_scans import SuggestedScan, read_suggested
from scanlearn.gui.scans.scan_list import icon
from scanlearn.gui.scans.thumbnails import SIZE
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.viewer.cohort_scans import read_source
from scanlearn.gui.viewer.layers import LayerData
from scanlearn.gui.viewer.orientation import show_orientation
from scanlearn.tasks.registry import all_tasks

_ABOUT = (
    "Scans of patients without labels that this model doubts most, unlike each other "
    "and the labelled ones."
)
_COUNT = 5


class SuggestionsSection(QWidget):
    """A section of the Runs dock for runs whose task tells how sure it is.

    Each run keeps its answer while napari is open.
    """

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.suggest_button = button(
            "Which scans next?", self.suggest, "Looks at every unlabelled scan"
        )
        self.job = JobRow()
        self.notice = Notice()
        self.list = QListWidget()
        self.list.setIconSize(QSize(SIZE, SIZE))
        self.list.setMinimumHeight(220)
        self.open_button = button(
            "Open", self.open_scan, "Shows the chosen scan, ready to be labelled"
        )
        self._run: RunRow | None = None
        self._asked: RunRow | None = None
        self._answers: dict[Path, list[SuggestedScan]] = {}
        self._opening = False
        self._folder = scratch_folder(self, "suggestions")
        self._lay_out()
        self.job.finished.connect(self._suggested)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._refresh)
        self.list.itemSelectionChanged.connect(self._refresh)
        self.list.itemDoubleClicked.connect(lambda _item: self.open_scan())
        self.show_run(None)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("Which scans to label next"),
            hint(_ABOUT),
            self.suggest_button,
            self.job,
            self.notice,
            self.list,
            self.open_button,
        ):
            layout.addWidget(widget)

    def show_run(self, run: RunRow | None) -> None:
        """Ask this run; the section hides for runs that cannot answer."""
        other = (run and run.path) != (self._run and self._run.path)
        self._run = run
        if other:
            self.notice.clear()
            self._list()
        task = all_tasks().get(run.method) if run is not None else None
        self.setVisible(task is not None and task.doubts)
        self._refresh()

    def suggest(self) -> None:
        """Look at the scans in a process of its own."""
        run = self._run
        assert run is not None
        self.notice.clear()
        self._asked = run
        self._answers.pop(run.path, None)
        self._list()
        arguments = ["suggest", str(run.path), str(run.cohorts[0])]
        arguments += ["--n", str(_COUNT), "--out", str(self._folder / "scans.json")]
        self.job.start(arguments, f"Looking at unlabelled scans for {run.title}")
        self._refresh()

    def open_scan(self) -> None:
        """Show the source of the chosen scan."""
        key, run = self._key(), self._run
        if not key or run is None or self._opening:
            return
        self.notice.clear()
        self._opening = True
        self._refresh()

        def work(_report: Report) -> LayerData:
            return read_source(run.cohorts[0], key)

        in_background(self, work, done=self._opened, failed=self._failed)

    def _opened(self, layer: LayerData) -> None:
        data, settings, _kind = layer
        self._opening = False
        added = self.viewer.add_image(data, **settings)
        self.viewer.layers.selection.active = added
        show_orientation(self.viewer)
        self._refresh()

    def _suggested(self, _events: list[Any]) -> None:
        asked = self._asked
        assert asked is not None
        file, cohort = self._folder / "scans.json", asked.cohorts[0]

        def work(_report: Report) -> list[SuggestedScan]:
            return read_suggested(file, cohort)

        def done(found: list[SuggestedScan]) -> None:
            self._answers[asked.path] = found
            self._list()
            self._refresh()

        in_background(self, work, done=done, failed=self._failed)
        self._refresh()

    def _list(self) -> None:
        """Show what the run has answered."""
        lines = self._answers.get(self._run.path, []) if self._run is not None else []
        self.list.clear()
        for one in lines:
            item = QListWidgetItem(one.text)
            if one.picture is not None:
                item.setIcon(icon(one.picture))
            item.setData(Qt.ItemDataRole.UserRole, one.key)
            self.list.addItem(item)
        if lines:
            self.list.setCurrentRow(0)
        for widget in (self.list, self.open_button):
            widget.setVisible(bool(lines))

    def _key(self) -> str:
        chosen = self.list.currentItem()
        return str(chosen.data(Qt.ItemDataRole.UserRole)) if chosen is not None else ""

    def _failed(self, failure: Failure) -> None:
        self._opening = False
        self.notice.show_failure(failure)
        self._refresh()

    def _refresh(self) -> None:
        missing = "" if self._run and self._run.has_model else "No model is saved yet"
        asked = self._asked.title if self._asked is not None else ""
        busy = f"Scans are looked at for {asked}" if self.job.busy else ""
        gate(self.suggest_button, busy or missing)
        opening = "The scan is being read" if self._opening else ""
        chosen = "" if self._key() else "Choose a scan of the list first"
        gate(self.open_button, opening or chosen)
