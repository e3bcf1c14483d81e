"""The classes of a result: colour, name and volume."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from scanlearn.gui.kit.widgets import shortened
from scanlearn.gui.tasks.shared.class_table import swatch
from scanlearn.prediction.summary import FoundClass


class Legend(QWidget):
    """One line a class."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)
        self.lines: list[str] = []

    def show_classes(self, classes: Sequence[FoundClass]) -> None:
        """Replace the lines."""
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        self.lines = []
        for line, found in enumerate(classes):
            volume = found.volume_text
            self._grid.addWidget(swatch(found.value), line, 0)
            self._grid.addWidget(QLabel(shortened(found.name, 28)), line, 1)
            self._grid.addWidget(QLabel(volume), line, 2)
            self.lines.append(f"{found.name} {volume}")
