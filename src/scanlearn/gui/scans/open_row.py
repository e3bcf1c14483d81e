"""What scans to open: a folder, a file, or the sample."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import SCAN_FILES, button, row


class OpenRow(QWidget):
    """Three buttons; ``chosen`` gives a folder or a file."""

    chosen = Signal(object)
    sample_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.folder_button = button("Open folder…", self.ask_folder)
        self.file_button = button("Open file…", self.ask_file)
        self.sample_button = button(
            "Sample",
            self.sample_wanted.emit,
            "Write artificial chest CTs and open them",
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        buttons = (self.folder_button, self.file_button, self.sample_button)
        layout.addWidget(row(*buttons))

    def ask_folder(self) -> None:
        """Let the user choose a folder."""
        chosen = QFileDialog.getExistingDirectory(self, "Folder of scans")
        if chosen:
            self.chosen.emit(Path(chosen))

    def ask_file(self) -> None:
        """Let the user choose a file."""
        chosen, _ = QFileDialog.getOpenFileName(self, "Scan", filter=SCAN_FILES)
        if chosen:
            self.chosen.emit(Path(chosen))
