"""The table of runs: name, method, state, best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from scanlearn.gui.kit.health_light import COLOURS, SYMBOLS
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.pretraining.registry import all_methods
from scanlearn.tasks.registry import all_tasks

_COLUMNS = ("Name", "Method", "State", "Best")


class RunsTable(QTableWidget):
    """One line a run; the selected run stays selected when the list is refreshed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_COLUMNS), parent)
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setMinimumHeight(150)
        lines = self.verticalHeader()
        head = self.horizontalHeader()
        assert lines is not None
        assert head is not None
        lines.setVisible(False)
        head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        head.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.rows: tuple[RunRow, ...] = ()

    def show_runs(self, rows: Sequence[RunRow]) -> None:
        """Replace the lines; emits no change of the selection."""
        chosen = self.chosen()
        self.blockSignals(True)
        self.rows = tuple(rows)
        self.setRowCount(len(rows))
        for line, run in enumerate(rows):
            for column, text in enumerate(_texts(run)):
                item = QTableWidgetItem(text)
                item.setToolTip(_tip(run))
                if column == 2 and run.state == "running":
                    item.setForeground(QColor(COLOURS[run.light]))
                self.setItem(line, column, item)
        if chosen is not None:
            self.choose(chosen.path)
        self.blockSignals(False)

    def chosen(self) -> RunRow | None:
        """Return the selected run."""
        lines = {index.row() for index in self.selectedIndexes()}
        return self.rows[lines.pop()] if lines else None

    def choose(self, path: Path) -> None:
        """Select a run."""
        for line, run in enumerate(self.rows):
            if run.path == path:
                self.selectRow(line)


def _texts(run: RunRow) -> tuple[str, str, str, str]:
    if run.stopping:
        state = "stopping"
    elif run.state == "running":
        state = f"{SYMBOLS[run.light]} {run.percent} %"
    else:
        state = run.state
    ended = run.state in ("finished", "stopped")
    unknown = "not checked" if ended else "–"
    return run.title, _short(run.method), state, run.best or unknown


def _tip(run: RunRow) -> str:
    progress = f"{run.state} · step {run.step:,} of {run.steps:,}"
    return "\n".join(part for part in (str(run.path), progress, run.sentence) if part)


def _short(name: str) -> str:
    """Return what a method or task is called where there is little room."""
    found = all_methods().get(name) or all_tasks().get(name)
    return found.offer.short if found is not None else name
