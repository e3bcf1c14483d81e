"""The Runs dock: every training on this machine, watched, stopped, resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.settings import runs_folder, under_home
from scanlearn.gui.kit.widgets import (
    button,
    combo,
    fill,
    gate,
    hint,
    page,
    primary,
    row,
)
from scanlearn.gui.runs.comparison_section import ComparisonSection
from scanlearn.gui.runs.likes_section import LikesSection
from scanlearn.gui.runs.locations_section import LocationsSection
from scanlearn.gui.runs.manage_section import ManageSection
from scanlearn.gui.runs.model_card_section import ModelCardSection
from scanlearn.gui.runs.pair_section import PairSection
from scanlearn.gui.runs.run_card import RunCard
from scanlearn.gui.runs.run_order import ORDERS
from scanlearn.gui.runs.runs_table import RunsTable
from scanlearn.gui.runs.share_section import ShareSection
from scanlearn.gui.runs.similar_section import SimilarSection
from scanlearn.gui.runs.suggestions_section import SuggestionsSection
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.shared.story import STOPPING
from scanlearn.runs import RunFolder, launch

_WELCOME = (
    "No runs yet. A <b>run</b> is one training: a folder with its settings, its story "
    "and its model. It goes on when napari is closed, and is found again here. "
    "Start one under Pre-train or Fine-tune."
)

_RESUMABLE = ("stopped", "crashed", "lost", "new")


class RunsDock(QWidget):
    """Table, actions, and the card of the selected run."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.state = shared_state()
        self.welcome = hint(_WELCOME)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Find a run")
        self.filter.setToolTip("Words of its name, method, state, tags or note")
        self.filter.setClearButtonEnabled(True)
        self.order = combo("In which order runs are listed")
        fill(self.order, [(name, name) for name in ORDERS], None)
        self.table = RunsTable()
        self.manage = ManageSection()
        self.resume_button = primary(
            "Resume", self.resume, "Goes on from the last checkpoint"
        )
        self.stop_button = button(
            "Stop and keep", self.stop, "Finishes the step, saves a usable model, ends"
        )
        self.folder_button = button(
            "Folder", lambda: self._open(""), "Open the run's folder"
        )
        self.log_button = button(
            "Log", lambda: self._open("log.txt"), "Open what the worker printed"
        )
        self.locations = LocationsSection(napari_viewer)
        self.notice = Notice()
        self.likes = LikesSection(napari_viewer)
        self.similar = SimilarSection(napari_viewer)
        self.comparison = ComparisonSection()
        self.suggestions = SuggestionsSection(napari_viewer)
        self.model_card = ModelCardSection()
        self.share = ShareSection()
        self.pair = PairSection(napari_viewer)
        self.card: RunCard | None = None
        self._wanted: Path | None = None
        self._place = QVBoxLayout()
        self._lay_out()
        self.table.itemSelectionChanged.connect(self._chosen)
        self.filter.textChanged.connect(self._arrange)
        self.order.currentIndexChanged.connect(self._arrange)
        self.manage.changed.connect(self.state.runs.refresh)
        self.state.runs.changed.connect(self._show_runs)
        self.state.runs.failed.connect(self.notice.show_failure)
        self.state.run_selected.connect(self.show_run)
        self.state.runs.watch(self)
        self._show_runs(self.state.runs.rows)

    def _lay_out(self) -> None:
        layout = page(self)
        layout.addWidget(hint(f"Runs in {under_home(runs_folder())}"))
        layout.addWidget(self.welcome)
        self._above = row(self.filter, self.order, stretch=0)
        layout.addWidget(self._above)
        layout.addWidget(self.table)
        layout.addWidget(
            row(
                self.resume_button,
                self.stop_button,
                self.folder_button,
                self.log_button,
                stretch=0,
            )
        )
        layout.addWidget(self.manage)
        layout.addWidget(self.locations)
        layout.addWidget(self.notice)
        layout.addLayout(self._place)
        layout.addWidget(self.pair)
        layout.addWidget(self.likes)
        layout.addWidget(self.similar)
        layout.addWidget(self.comparison)
        layout.addWidget(self.suggestions)
        layout.addWidget(self.model_card)
        layout.addWidget(self.share)
        layout.addStretch(1)

    def show_run(self, path: Path) -> None:
        """Select a run and show its card."""
        self._wanted = path
        self.filter.clear()  # it may hide the wanted one
        self.table.choose(path)

    def resume(self) -> None:
        """Go on with the selected run."""
        path = self._path()
        self.notice.clear()

        def work(_report: Report) -> RunFolder:
            run = RunFolder(path)
            launch(run)
            return run

        in_background(self, work, done=self._resumed, failed=self._failed)
        gate(self.resume_button, "Starting…")

    def stop(self) -> None:
        """Ask the selected run to save and end."""
        try:
            RunFolder(self._path()).request_stop()
        except (
            ScanlearnError,
            OSError,
        ) as error:  # deleted, or a full disk
            self.notice.show_error(error)
            return
        gate(self.stop_button, STOPPING)
        self.state.runs.refresh()

    def _path(self) -> Path:
        chosen = self.table.chosen()
        assert chosen is not None
        return chosen.path

    def _resumed(self, run: RunFolder) -> None:
        self._show_card(run)
        self.state.runs.refresh()

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._refresh()

    def _arrange(self, *_: object) -> None:
        self.table.arrange(self.filter.text(), self.order.currentData())

    def _show_runs(self, rows: tuple[RunRow, ...]) -> None:
        self.table.show_runs(rows)
        for widget in (self.table, self._above):
            widget.setVisible(bool(rows))
        self.welcome.setVisible(not rows)
        if self._wanted in [run.path for run in rows]:
            # A run just started elsewhere appears with the next refresh only.
            assert self._wanted is not None
            self.table.choose(self._wanted)
            self._wanted = None
        elif self.table.rows and not self.table.selected():
            shown = self.table.rows
            going_on = [run for run in shown if run.state == "running"]
            self.table.choose((going_on or shown)[0].path)
        self._refresh()

    def _chosen(self) -> None:
        self.notice.clear()
        chosen = self.table.chosen()
        shown = self.card.run.path if self.card else None
        if chosen is None or chosen.damaged:
            self._show_card(None)
            if chosen is not None:
                self.notice.say(chosen.sentence)
        elif chosen.path != shown:
            self._open_card(chosen.path)
        self._refresh()

    def _open_card(self, path: Path) -> None:
        try:
            self._show_card(RunFolder(path))
        except (ScanlearnError, OSError) as error:  # damaged since the list was read
            self._show_card(None)
            self.notice.show_error(error)

    def _show_card(self, run: RunFolder | None) -> None:
        if self.card is not None:
            self.card.blockSignals(True)
            self.card.detach()
            self._place.removeWidget(self.card)
            self.card.hide()  # it is drawn until it is deleted, later
            self.card.deleteLater()
            self.card = None
        if run is not None:
            self.card = RunCard(run, activity=False)
            self.card.hide_buttons()
            self.card.ended.connect(lambda _run: self.state.runs.refresh())
            self._place.addWidget(self.card)

    def _refresh(self) -> None:
        chosen = self.table.chosen()
        self.comparison.show_run(chosen)
        self.suggestions.show_run(chosen)
        self.model_card.show_run(chosen)
        self.likes.show_run(chosen)
        self.similar.show_run(chosen)
        self.share.show_run(chosen)
        self.locations.choose_run(chosen)
        self.manage.show_runs(self.table.selected(), self.state.runs.rows)
        self.pair.show_runs(self.table.selected())
        several = "Several runs are selected: select one"
        missing = several if self.table.selected() else "Select a run first"
        nothing = "" if chosen else missing
        for control in (self.folder_button, self.log_button):
            gate(control, nothing)
        state = chosen.state if chosen else ""
        running = "" if state == "running" else f"The run is not running: {state}"
        if chosen is not None and chosen.stopping:
            running = STOPPING
        gate(self.stop_button, nothing or running)
        resumable = (
            "" if state in _RESUMABLE else f"The run cannot go on: it is {state}"
        )
        gate(self.resume_button, nothing or resumable)

    def _open(self, name: str) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._path() / name)))
