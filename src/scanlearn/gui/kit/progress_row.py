"""How far some work in this napari is, with Cancel."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import button, hint, row


class ProgressRow(QWidget):
    """Words, a bar and Cancel; hidden while nothing goes on."""

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = hint()
        self.bar = QProgressBar()
        self.cancel_button = button("Cancel", self.cancelled.emit, "End this now")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addWidget(row(self.bar, self.cancel_button, stretch=0))
        self.setVisible(False)

    def show_progress(self, text: str, done: int, total: int) -> None:
        """Show what is going on and how far it is; a total of 0 is not known yet."""
        self.label.setText(text)
        # One thing of one would stand at nothing until it is over.
        self.bar.setRange(0, total if total > 1 else 0)
        self.bar.setValue(done)
        self.bar.setFormat("%v of %m" if total > 1 else "")
        self.setVisible(True)
