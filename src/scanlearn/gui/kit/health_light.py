"""The health light: its meaning is in the shape as well as in the colour."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPolygonF
from qtpy.QtWidgets import QWidget

#: Colours told apart by colour-blind readers too (Okabe and Ito).
COLOURS = {"green": "#009E73", "amber": "#E69F00", "red": "#D55E00", "": "#808080"}

#: The same shapes as text, for tables.
SYMBOLS = {"green": "●", "amber": "▲", "red": "■", "": "○"}

_MEANINGS = {
    "green": "Healthy",
    "amber": "Doubtful",
    "red": "Not learning",
    "": "Not judged yet",
}


class HealthLight(QWidget):
    """A disc (green), triangle (amber), square (red) or ring (not judged yet)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedSize(self.sizeHint())
        self.light = ""
        self.show_light("")

    def sizeHint(self) -> QSize:
        """Return the fixed size."""
        return QSize(18, 18)

    def show_light(self, light: str) -> None:
        """Show green, amber, red, or nothing known."""
        self.light = light
        self.setToolTip(_MEANINGS[light])
        self.setAccessibleName(_MEANINGS[light])
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the shape."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = QColor(COLOURS[self.light])
        painter.setPen(colour)
        painter.setBrush(colour if self.light else Qt.BrushStyle.NoBrush)
        box = QRectF(3, 3, 12, 12)
        if self.light == "red":
            painter.drawRect(box)
        elif self.light == "amber":
            corners = [QPointF(9, 2), QPointF(16, 15), QPointF(2, 15)]
            painter.drawPolygon(QPolygonF(corners))
        else:
            painter.drawEllipse(box)
        painter.end()
