"""The classes to learn: value, colour and name of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from scanlearn.config.palette import class_colour
from scanlearn.gui.kit.widgets import button

#: napari paints any number of labels; more classes than this are no longer told apart.
MOST_CLASSES = 12


class ClassTable(QWidget):
    """One line a class; a class keeps its colour everywhere."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.names: dict[int, QLineEdit] = {}
        self._rows: dict[int, QWidget] = {}
        self._lines = QVBoxLayout()
        self._lines.setSpacing(2)
        self.add_button = button("+ Add class", self.add, "One more class to learn")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._lines)
        foot = QHBoxLayout()
        foot.addWidget(self.add_button)
        foot.addStretch(1)
        layout.addLayout(foot)
        self.add(name="")

    def classes(self) -> dict[int, str]:
        """Return the value and name of each class; unnamed ones are numbered."""
        return {
            value: field.text().strip() or f"class {value}"
            for value, field in self.names.items()
        }

    def show_classes(self, classes: Mapping[int, str]) -> None:
        """Replace the classes."""
        for value in list(self._rows):
            self._drop(value)
        for value, name in classes.items():
            self._add(value, name)
        self.changed.emit()

    def add(self, name: str = "") -> None:
        """Add a class with the lowest free value."""
        value = next(v for v in range(1, 255) if v not in self.names)
        self._add(value, name)
        self.changed.emit()

    def include(self, values: Sequence[int], names: Mapping[int, str]) -> None:
        """Add the classes of these values that are not there yet, or not named."""
        before = self.classes()
        for value in values:
            name = names.get(value, "")
            name = "" if name == f"class {value}" else name
            if value not in self.names:
                self._add(value, name)
            elif name and not self.names[value].text().strip():
                self.names[value].setText(name)
        if self.classes() != before:
            self.changed.emit()

    def remove(self, value: int) -> None:
        """Take a class away; the others keep their values."""
        self._drop(value)
        self.changed.emit()

    def _add(self, value: int, name: str) -> None:
        line = QWidget()
        layout = QHBoxLayout(line)
        layout.setContentsMargins(0, 0, 0, 0)
        number = QLabel(str(value))
        number.setFixedWidth(18)
        field = QLineEdit(name)
        field.setPlaceholderText("such as lung or lesion")
        field.setAccessibleName(f"Name of class {value}")
        field.textChanged.connect(lambda _text: self.changed.emit())
        drop = button("✕", lambda: self.remove(value), f"Remove class {value}")
        drop.setFixedWidth(28)
        for widget in (number, swatch(value)):
            layout.addWidget(widget)
        layout.addWidget(field, 1)
        layout.addWidget(drop)
        self.names[value], self._rows[value] = field, line
        self._lines.addWidget(line)
        self._gate()

    def _drop(self, value: int) -> None:
        del self.names[value]
        line = self._rows.pop(value)
        self._lines.removeWidget(line)
        # Until it is deleted it would lie over what is left.
        line.hide()
        line.deleteLater()
        self._gate()

    def _gate(self) -> None:
        self.add_button.setEnabled(len(self.names) < MOST_CLASSES)


def swatch(value: int) -> QLabel:
    """Return a small square in the colour of a class."""
    label = QLabel()
    label.setFixedSize(14, 14)
    label.setStyleSheet(f"background: {class_colour(value)}; border-radius: 2px")
    return label
