"""A table of many results that sorts by any column, numbers as numbers."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from scanlearn.gui.predict.batch_results import ResultRow
from scanlearn.scans.tables.results import Cell


class BatchTable(QTableWidget):
    """A line a scan; a click on a head sorts, the names stay with their lines."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 0, parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setMinimumHeight(200)
        self.setSortingEnabled(True)
        lines = self.verticalHeader()
        assert lines is not None
        lines.setVisible(False)

    @property
    def chosen(self) -> str:
        """Name of the chosen scan; empty without one."""
        items = [item for item in self.selectedItems() if item.column() == 0]
        return items[0].text() if items else ""

    def names(self) -> list[str]:
        """Return the scans in the order that is shown."""
        items = (self.item(line, 0) for line in range(self.rowCount()))
        return [item.text() for item in items if item is not None]

    def show_rows(self, rows: Sequence[ResultRow], columns: Sequence[str]) -> None:
        """Show these results; order and choice stay."""
        chosen = self.chosen
        # Lines would move away under the cells that are still to be written.
        self.setSortingEnabled(False)
        self.setColumnCount(1 + len(columns))
        self.setHorizontalHeaderLabels(["Scan", *columns])
        self.setRowCount(len(rows))
        for line, row in enumerate(rows):
            self.setItem(line, 0, _Cell(row.prediction.scan))
            for column, name in enumerate(columns, start=1):
                self.setItem(line, column, _Cell(row.cells.get(name)))
        head = self.horizontalHeader()
        assert head is not None
        head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.setSortingEnabled(True)
        if chosen in self.names():
            self.selectRow(self.names().index(chosen))


class _Cell(QTableWidgetItem):
    def __init__(self, value: Cell) -> None:
        super().__init__(_text(value))
        self.value = value
        self.setToolTip(self.text())
        if isinstance(value, (int, float)):
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            self.setTextAlignment(right)

    def __lt__(self, other: object) -> bool:
        mine = self.value
        theirs = other.value if isinstance(other, _Cell) else None
        if isinstance(mine, (int, float)) and isinstance(theirs, (int, float)):
            return mine < theirs
        if mine is None or theirs is None:
            return mine is None and theirs is not None
        return str(mine) < str(theirs)


def _text(value: Cell) -> str:
    if value is None:
        return "–"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
