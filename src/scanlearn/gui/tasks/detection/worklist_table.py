"""The lines of a worklist: a finding each, with what was decided about it."""

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

from scanlearn.gui.tasks.detection.reviewed_layers import MARKS
from scanlearn.prediction.review import Judged
from scanlearn.scans.tables.finding_table import BoxFinding, Finding

_COLUMNS = {
    Finding: ("", "Score", "mm", "Slice", "Where"),
    BoxFinding: ("", "Score", "x", "y", "w", "h"),
}


class WorklistTable(QTableWidget):
    """One line at a time is chosen; hidden lines are no part of the work."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_COLUMNS[Finding]), parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedHeight(190)
        self.setWordWrap(False)
        lines = self.verticalHeader()
        assert lines is not None
        lines.setVisible(False)

    @property
    def chosen(self) -> int:
        """Number of the chosen finding, -1 without one."""
        rows = {item.row() for item in self.selectedItems()}
        return rows.pop() if rows else -1

    def show_kind(self, kind: type[Finding] | type[BoxFinding]) -> None:
        """Have the columns of spheres, or those of boxes."""
        self.setRowCount(0)
        self.setColumnCount(len(_COLUMNS[kind]))
        self.setHorizontalHeaderLabels(_COLUMNS[kind])
        head = self.horizontalHeader()
        assert head is not None
        head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for narrow in (0, len(_COLUMNS[kind]) - 1):
            head.setSectionResizeMode(narrow, QHeaderView.ResizeMode.ResizeToContents)

    def show_items(self, items: Sequence[Judged], shown: Sequence[bool]) -> None:
        """Fill the lines; the choice stays."""
        self.setRowCount(len(items))
        for line, (one, is_shown) in enumerate(zip(items, shown, strict=True)):
            self.setRowHidden(line, not is_shown)
            for column, text in enumerate(_cells(line + 1, one)):
                self._write(line, column, text)

    def choose(self, line: int) -> None:
        """Choose a line, and have it seen."""
        self.selectRow(line)
        item = self.item(line, 0)
        if item is not None:
            self.scrollToItem(item)

    def _write(self, line: int, column: int, text: str) -> None:
        item = self.item(line, column)
        if item is None:
            item = QTableWidgetItem()
            right = (
                Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
            )
            item.setTextAlignment(right | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(line, column, item)
        item.setText(text)
        item.setToolTip(text)


def _cells(number: int, one: Judged) -> tuple[str, ...]:
    score = "–" if one.verdict == "added" else f"{one.finding.score:.2f}"
    first = (f"{number} {MARKS[one.verdict]}".strip(), score)
    if isinstance(one.finding, BoxFinding):
        return (*first, *(f"{px:.0f}" for px in one.finding.box))
    where = one.place.text or "–"
    return (*first, f"{one.finding.diameter_mm:.1f}", f"{one.slice}", where)
