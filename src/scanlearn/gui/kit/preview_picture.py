"""A small picture of what a training has learned; a click shows it large."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QMouseEvent, QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import hint

#: Width in a card, and in a window of its own, in screen points.
_SMALL, _LARGE = 300, 900


class PreviewPicture(QWidget):
    """The newest preview of a run; hidden while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture = QLabel()
        self.picture.setAccessibleName("Preview")
        self.picture.setToolTip("Click to see it large")
        self.picture.setCursor(Qt.CursorShape.PointingHandCursor)
        self.caption = hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.picture)
        layout.addWidget(self.caption)
        self.large: QDialog | None = None
        self._shown: tuple[Path, float] | None = None
        self.setVisible(False)

    def show_picture(self, file: Path, caption: str) -> None:
        """Show a picture file; nothing changes if it cannot be read."""
        written = file.stat().st_mtime if file.exists() else 0.0
        if (file, written) == self._shown:
            return
        pixmap = QPixmap(str(file))
        if pixmap.isNull():
            return
        self._shown = file, written
        self.picture.setPixmap(_scaled(pixmap, _SMALL))
        self.caption.setText(caption)
        self.setVisible(True)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Show the picture in a window of its own."""
        if self._shown is None:
            return
        self.large = QDialog(self)
        self.large.setWindowTitle(self.caption.text())
        picture = QLabel()
        picture.setPixmap(_scaled(QPixmap(str(self._shown[0])), _LARGE))
        layout = QVBoxLayout(self.large)
        layout.addWidget(picture)
        layout.addWidget(hint(self.caption.text()))
        self.large.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.large.show()


def _scaled(pixmap: QPixmap, width: int) -> QPixmap:
    return pixmap.scaledToWidth(width, Qt.TransformationMode.SmoothTransformation)
