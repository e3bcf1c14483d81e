"""The Workbench: all docks as tabs of one."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from scanlearn.gui.keys import bind_keys
from scanlearn.gui.kit.widgets import WIDTH
from scanlearn.gui.predict.dock import PredictDock
from scanlearn.gui.runs.dock import RunsDock
from scanlearn.gui.scans.dock import ScansDock
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.train.pretrain_dock import PretrainDock


class Workbench(QWidget):
    """Scans, Pre-train, Fine-tune, Predict and Runs, in the order of the path."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scans = ScansDock(napari_viewer)
        self.pretrain = PretrainDock(napari_viewer)
        self.finetune = FinetuneDock(napari_viewer)
        self.predict = PredictDock(napari_viewer)
        self.runs = RunsDock(napari_viewer)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setUsesScrollButtons(False)
        # napari's theme gives tabs no height of their own: their text was cut.
        self.tabs.setStyleSheet("QTabBar::tab { min-height: 20px; padding: 3px 9px }")
        for title, dock in (
            ("Scans", self.scans),
            ("Pre-train", self.pretrain),
            ("Fine-tune", self.finetune),
            ("Predict", self.predict),
            ("Runs", self.runs),
        ):
            self.tabs.addTab(dock, title)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)
        self.setMinimumWidth(WIDTH)
        self.finetune.state.labels_offered.connect(self._show_labels)
        bind_keys(napari_viewer, self.tabs, self.finetune.new_layer)

    def _show_labels(self) -> None:
        """Show what was offered for a fine-tuning."""
        self.tabs.setCurrentWidget(self.finetune)
