"""What label maps hold, before a training: classes, files and voxels, and remarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from scanlearn.config.palette import class_colour
from scanlearn.gui.kit.widgets import hint

if TYPE_CHECKING:
    from scanlearn.tasks.shared.label_set import ClassCount, LabelSet

#: Rows shown at once; more are scrolled to.
_MOST_ROWS = 8

#: Remarks shown; the others are in the tooltip.
_MOST_REMARKS = 5

_ROW = 22


class ClassCounts(QWidget):
    """A table of class, files and voxels, and below it what was decided."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels(["class", "files", "voxels"])
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setShowGrid(False)
        lines, head = self.table.verticalHeader(), self.table.horizontalHeader()
        assert lines is not None
        assert head is not None
        lines.setVisible(False)
        lines.setDefaultSectionSize(_ROW)
        head.setHighlightSections(False)
        head.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            head.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.about = hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.table)
        layout.addWidget(self.about)
        self.clear()

    def clear(self) -> None:
        """Show nothing: there are no labels, or no cohort they belong to."""
        self.setVisible(False)

    def show_text(self, text: str) -> None:
        """Show that labels are being counted, or why they cannot be."""
        self.table.setVisible(False)
        self.about.setText(text)
        self.about.setToolTip(text)
        self.about.setVisible(True)
        self.setVisible(True)

    def show_labels(self, labels: LabelSet) -> None:
        """Show the classes of labels that were found and checked."""
        counts = labels.counts()
        self.table.setRowCount(len(counts))
        for row, one in enumerate(counts):
            for column, item in enumerate(_cells(one, len(labels.items))):
                self.table.setItem(row, column, item)
        head = self.table.horizontalHeader()
        assert head is not None
        rows = min(len(counts), _MOST_ROWS)
        self.table.setFixedHeight(head.sizeHint().height() + rows * _ROW + 4)
        self.table.setVisible(True)
        self._tell(labels.remarks)
        self.setVisible(True)

    def _tell(self, remarks: Sequence[str]) -> None:
        shown = list(remarks[:_MOST_REMARKS])
        if len(remarks) > len(shown):
            shown.append(f"and {len(remarks) - len(shown)} more remarks")
        self.about.setText("\n".join(f"· {remark}" for remark in shown))
        self.about.setToolTip("\n".join(remarks))
        self.about.setVisible(bool(shown))


def _cells(one: ClassCount, total: int) -> list[QTableWidgetItem]:
    name = QTableWidgetItem(one.name)
    name.setData(Qt.ItemDataRole.DecorationRole, QColor(class_colour(one.value)))
    name.setToolTip(f"{one.name}: value {one.value}")
    numbers = [
        QTableWidgetItem(text)
        for text in (f"{one.files} of {total}", f"{one.voxels:,}")
    ]
    for item in numbers:
        item.setTextAlignment(
            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        )
    return [name, *numbers]
