"""Scans dragged from the list onto the canvas of their viewer."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

from scanlearn.gui.scans.scan_list import DRAGGED


class CanvasDrop(QObject):
    """Takes drops of listed scans in a window; all others go where they went."""

    def __init__(self, dock: QWidget, dropped: Callable[[list[int]], None]) -> None:
        super().__init__(dock)
        self._dropped = dropped

    def watch(self, window: QWidget) -> None:
        """Watch the widget of a napari window that files can be dropped onto."""
        for child in window.findChildren(QWidget):
            if type(child).__name__ == "QtViewer":
                child.installEventFilter(self)  # a second time changes nothing

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take what was dragged from a list of scans."""
        kinds = (QEvent.Type.DragEnter, QEvent.Type.DragMove, QEvent.Type.Drop)
        if event is None or event.type() not in kinds:
            return False
        mime = event.mimeData()  # type: ignore[attr-defined]
        if not mime.hasFormat(DRAGGED):
            return False
        event.acceptProposedAction()  # type: ignore[attr-defined]
        if event.type() == QEvent.Type.Drop:
            rows = bytes(mime.data(DRAGGED)).decode()
            self._dropped([int(row) for row in rows.split(",") if row])
        return True
