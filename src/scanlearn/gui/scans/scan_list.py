"""The list of scans found: picture, modality, size, spacing, patient key, remarks.

A view on a model: only the lines in sight are drawn, and only their pictures are asked
for, so that thousands of scans scroll like ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import (
    QAbstractListModel,
    QItemSelection,
    QItemSelectionModel,
    QMimeData,
    QModelIndex,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from qtpy.QtGui import QColor, QIcon, QImage, QPixmap
from qtpy.QtWidgets import QListView, QWidget

from scanlearn.errors import BadScan
from scanlearn.gui.scans.listed_scan import ListedScan, line_of, sentence, tip_of
from scanlearn.gui.scans.thumbnails import SIZE
from scanlearn.scans.scan import Problem, ScanEntry

#: What is dragged: line numbers of the list, understood by the viewer it belongs to.
DRAGGED = "application/x-scanlearn-scans"

_SETTLE_MILLISECONDS = 40


class _Model(QAbstractListModel):
    """The lines of the list."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.scans: list[ListedScan] = []
        self.pictures: dict[int, QIcon] = {}
        self._blank = icon(np.full((SIZE, SIZE), 40, dtype=np.uint8))

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of lines."""
        return 0 if parent.isValid() else len(self.scans)

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return what the view draws of one line."""
        scan = self.scans[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return line_of(scan)
        if role == Qt.ItemDataRole.DecorationRole:
            return self.pictures.get(index.row(), self._blank)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip_of(scan)
        dimmed = scan.excluded or scan.is_label_map
        if role == Qt.ItemDataRole.ForegroundRole and dimmed:
            return QColor(140, 140, 140)
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let readable scans be dragged."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.isValid() and not self.scans[index.row()].entry.error:
            flags |= Qt.ItemFlag.ItemIsDragEnabled
        return flags

    def mimeTypes(self) -> list[str]:
        """Name what is dragged."""
        return [DRAGGED]

    def mimeData(self, indexes: Iterable[QModelIndex]) -> QMimeData:
        """Give the numbers of the dragged lines."""
        rows = sorted({index.row() for index in indexes})
        mime = QMimeData()
        mime.setData(DRAGGED, ",".join(map(str, rows)).encode())
        return mime

    def replace_all(self, scans: Sequence[ListedScan]) -> None:
        """Show other scans."""
        self.beginResetModel()
        self.scans, self.pictures = list(scans), {}
        self.endResetModel()

    def changed(self) -> None:
        """Draw all lines again."""
        if self.scans:
            self.dataChanged.emit(self.index(0), self.index(len(self.scans) - 1))


class ScanList(QListView):
    """One line a scan; unreadable files are listed with the reason, not hidden."""

    selection_changed = Signal()
    pictures_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines = _Model(self)
        self.setModel(self._lines)
        self.setIconSize(QSize(SIZE, SIZE))
        self.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self.setDragDropMode(QListView.DragDropMode.DragOnly)
        self.setDragEnabled(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setUniformItemSizes(True)
        self.setMinimumHeight(220)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(_SETTLE_MILLISECONDS)
        self._settled.timeout.connect(self.pictures_wanted)
        bar, chosen = self.verticalScrollBar(), self.selectionModel()
        assert bar is not None
        assert chosen is not None
        bar.valueChanged.connect(lambda _value: self._settled.start())
        bar.rangeChanged.connect(lambda *_: self._settled.start())
        chosen.selectionChanged.connect(lambda *_: self.selection_changed.emit())

    @property
    def scans(self) -> tuple[ListedScan, ...]:
        """All lines."""
        return tuple(self._lines.scans)

    @property
    def entries(self) -> tuple[ScanEntry, ...]:
        """The scan of every line."""
        return tuple(scan.entry for scan in self._lines.scans)

    def count(self) -> int:
        """Return the number of lines."""
        return self._lines.rowCount()

    def text(self, row: int) -> str:
        """Return what a line says."""
        return line_of(self._lines.scans[row])

    def show_scans(self, scans: Sequence[ListedScan]) -> None:
        """List scans; the first readable one is selected."""
        self._lines.replace_all(scans)
        first = next((n for n, s in enumerate(scans) if s.is_scan), None)
        if first is not None:
            self.select_rows([first])
        self._settled.start()
        self.selection_changed.emit()

    def update_scans(self, scans: Sequence[ListedScan]) -> None:
        """Show other remarks on the same scans; pictures and selection stay."""
        self._lines.scans = list(scans)
        self._lines.changed()

    def set_excluded(self, rows: Iterable[int], reason: str) -> None:
        """Mark scans as left out, or with an empty reason as used."""
        scans = self._lines.scans
        for row in rows:
            scans[row] = replace(scans[row], excluded=reason)
        self._lines.changed()
        self.selection_changed.emit()

    def select_rows(self, rows: Sequence[int]) -> None:
        """Select scans and bring the first of them into sight."""
        chosen = self.selectionModel()
        assert chosen is not None
        wanted = QItemSelection()
        for row in rows:
            wanted.select(self._lines.index(row), self._lines.index(row))
        chosen.select(wanted, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if rows:
            self.scrollTo(self._lines.index(rows[0]))

    def chosen_rows(self) -> list[int]:
        """Return the numbers of the selected lines."""
        return sorted(index.row() for index in self.selectedIndexes())

    def chosen(self) -> list[ScanEntry]:
        """Return the selected scans that can be read."""
        entries = [self._lines.scans[row].entry for row in self.chosen_rows()]
        return [entry for entry in entries if not entry.error]

    def rows_in_sight(self) -> list[int]:
        """Return the lines that are drawn now and have no picture yet."""
        port = self.viewport()
        assert port is not None
        first = self.indexAt(port.rect().topLeft()).row()
        last = self.indexAt(port.rect().bottomLeft()).row()
        if first < 0:
            return []
        last = last if last >= 0 else self.count() - 1
        rows = range(first, last + 1)
        return [row for row in rows if row not in self._lines.pictures]

    def show_picture(self, row: int, picture: NDArray[np.uint8] | None) -> None:
        """Show the thumbnail of one scan, grey or RGB; None where it has none."""
        if row < self.count():
            shown = self._lines._blank if picture is None else icon(picture)
            self._lines.pictures[row] = shown
            self._lines.dataChanged.emit(self._lines.index(row), self._lines.index(row))

    def mark_unreadable(self, row: int, error: BadScan) -> None:
        """Say of a scan, before all else, that its voxels cannot be read."""
        scan = self._lines.scans[row]
        found = error.found.removeprefix(str(scan.entry.path)).strip()
        problem = Problem("unreadable", "error", sentence(found), error.next_step)
        others = [one for one in scan.problems if one.code != problem.code]
        self._set(row, (problem, *others))

    def mark_label_map(self, row: int, problem: Problem) -> None:
        """Say of a line that it is no scan; what was said of the scan does not hold."""
        self._set(row, (problem,))

    def _set(self, row: int, problems: tuple[Problem, ...]) -> None:
        self._lines.scans[row] = replace(self._lines.scans[row], problems=problems)
        self._lines.changed()

    def resizeEvent(self, event: Any) -> None:
        """Ask for the pictures that came into sight."""
        super().resizeEvent(event)
        self._settled.start()


def icon(picture: NDArray[np.uint8]) -> QIcon:
    """Return a picture, grey or RGB, as an icon that looks the same when selected."""
    height, width, *colours = picture.shape
    kind = QImage.Format.Format_RGB888 if colours else QImage.Format.Format_Grayscale8
    line = picture.nbytes // height
    image = QImage(picture.tobytes(), width, height, line, kind)
    pixmap = QPixmap.fromImage(image)
    made = QIcon(pixmap)
    # Qt would tint the picture of a selected scan.
    made.addPixmap(pixmap, QIcon.Mode.Selected)
    return made
