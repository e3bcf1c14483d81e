"""The table of runs: name, method, state, best, time or size; filtered and sorted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from qtpy.QtCore import QItemSelectionModel, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from scanlearn.gui.kit.amounts import size_text
from scanlearn.gui.kit.durations import duration
from scanlearn.gui.kit.health_light import COLOURS, SYMBOLS
from scanlearn.gui.runs.run_order import found_runs, sorted_runs
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.pretraining.registry import all_methods
from scanlearn.tasks.registry import all_tasks

_COLUMNS = ("Name", "Method", "State", "Best", "Time")

#: Whole lines, added to a selection or selected alone.
_ROWS = QItemSelectionModel.SelectionFlag.Rows
_ADD = QItemSelectionModel.SelectionFlag.Select | _ROWS
_ALONE = QItemSelectionModel.SelectionFlag.ClearAndSelect | _ROWS


class RunsTable(QTableWidget):
    """One line a run; selected runs stay selected when the list is refreshed.

    ``rows`` are the runs shown, in the order of the lines.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_COLUMNS), parent)
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableWidget.SelectionMode.ExtendedSelection)
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
        self._all: tuple[RunRow, ...] = ()
        self._words, self._order = "", "newest first"

    def arrange(self, words: str, order: str) -> None:
        """Show the runs in which these words are found, in this order."""
        self._words, self._order = words, order
        self.show_runs(self._all)
        self.itemSelectionChanged.emit()

    def show_runs(self, rows: Sequence[RunRow]) -> None:
        """Replace the lines; emits no change of the selection."""
        chosen = [run.path for run in self.selected()]
        self._all = tuple(rows)
        self.rows = tuple(sorted_runs(found_runs(rows, self._words), self._order))
        self.blockSignals(True)
        last = "Size" if self._order == "largest" else "Time"
        self.setHorizontalHeaderLabels((*_COLUMNS[:-1], last))
        self.clearSelection()
        self.setRowCount(len(self.rows))
        for line, run in enumerate(self.rows):
            for column, text in enumerate((*_texts(run), _last(run, self._order))):
                item = QTableWidgetItem(text)
                item.setToolTip(_tip(run))
                if column == 2 and run.state == "running":
                    item.setForeground(QColor(COLOURS[run.light]))
                self.setItem(line, column, item)
        self._select(chosen)
        self.blockSignals(False)

    def selected(self) -> list[RunRow]:
        """Return the selected runs."""
        lines = {index.row() for index in self.selectedIndexes()}
        return [self.rows[line] for line in sorted(lines)]

    def chosen(self) -> RunRow | None:
        """Return the run that is selected alone."""
        selected = self.selected()
        return selected[0] if len(selected) == 1 else None

    def choose(self, path: Path) -> None:
        """Select a run alone, whatever keys are held down meanwhile."""
        model, lines = self.selectionModel(), self.model()
        assert model is not None
        assert lines is not None
        for line, run in enumerate(self.rows):
            if run.path == path:
                model.setCurrentIndex(lines.index(line, 0), _ALONE)

    def _select(self, paths: Collection[Path]) -> None:
        model, lines = self.selectionModel(), self.model()
        assert model is not None
        assert lines is not None
        for line, run in enumerate(self.rows):
            if run.path in paths:
                model.select(lines.index(line, 0), _ADD)


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


def _last(run: RunRow, order: str) -> str:
    if order == "largest":
        return size_text(run.disk_bytes)
    if run.ends_at is not None:
        return f"till {clock(run.ends_at)}"
    return duration(run.seconds) if run.seconds else "–"


def clock(time: float) -> str:
    """Say when something will be: ``"17:40"``, with the day if it is another."""
    then = datetime.fromtimestamp(time)
    same = then.date() == datetime.now().date()
    return then.strftime("%H:%M" if same else "%a %H:%M")


def _tip(run: RunRow) -> str:
    progress = f"{run.state} · step {run.step:,} of {run.steps:,}"
    tags = "tags: " + ", ".join(run.about.tags) if run.about.tags else ""
    parts = (str(run.path), progress, run.sentence, tags, run.about.note)
    return "\n".join(part for part in parts if part)


def _short(name: str) -> str:
    """Return what a method or task is called where there is little room."""
    found = all_methods().get(name) or all_tasks().get(name)
    return found.offer.short if found is not None else name
