"""Cohorts to learn from beside the chosen one."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import hint
from scanlearn.gui.shared.state import count_scans, shared_state

#: Rows that are seen without scrolling.
_ROWS = 4

#: Least height of a row, in screen points.
_ROW = 24

_ON, _OFF = Qt.CheckState.Checked, Qt.CheckState.Unchecked


class MoreCohorts(QWidget):
    """A list to tick; hidden while there is no other cohort."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = QListWidget()
        self.list.setAccessibleName("More cohorts")
        self.list.setToolTip("Scans of all ticked cohorts go into one training")
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._scans: dict[Path, int] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(hint("Learn from these, too:"))
        layout.addWidget(self.list)
        self.list.itemChanged.connect(lambda _item: self.changed.emit())
        self.show_beside(None)

    @property
    def chosen(self) -> tuple[Path, ...]:
        """The ticked cohorts."""
        return tuple(_path(item) for item in self._items() if _ticked(item))

    @property
    def scans(self) -> int:
        """How many scans the ticked cohorts hold."""
        return sum(self._scans[path] for path in self.chosen)

    def show_beside(self, cohort: Path | None) -> None:
        """List all cohorts but this one; ticks are kept."""
        ticked = self.chosen
        others = [path for path in shared_state().cohorts() if path != cohort]
        self._scans = {path: count_scans(path) for path in others}
        with QSignalBlocker(self.list):
            self.list.clear()
            for path, scans in self._scans.items():
                item = QListWidgetItem(f"{path.name} · {scans} scans")
                item.setData(Qt.ItemDataRole.UserRole, path)
                item.setFlags(
                    Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled
                )
                item.setSizeHint(QSize(0, _ROW))
                item.setCheckState(_ON if path in ticked else _OFF)
                self.list.addItem(item)
        rows = min(_ROWS, len(others)) * max(_ROW, self.list.sizeHintForRow(0))
        self.list.setFixedHeight(rows + 2 * self.list.frameWidth())
        self.setVisible(cohort is not None and bool(others))

    def _items(self) -> list[QListWidgetItem]:
        found = (self.list.item(row) for row in range(self.list.count()))
        return [item for item in found if item is not None]


def _ticked(item: QListWidgetItem) -> bool:
    return item.checkState() == _ON


def _path(item: QListWidgetItem) -> Path:
    found = item.data(Qt.ItemDataRole.UserRole)
    assert isinstance(found, Path)
    return found
