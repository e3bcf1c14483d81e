"""The Workbench: all docks as tabs of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from scanlearn.gui.keys import bind_keys
from scanlearn.gui.kit.widgets import WIDTH
from scanlearn.gui.predict.dock import PredictDock
from scanlearn.gui.runs.dock import RunsDock
from scanlearn.gui.runs.running_line import RunningLine
from scanlearn.gui.scans.dock import ScansDock
from scanlearn.gui.shared.state import shared_state
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
        bar = self.tabs.tabBar()
        assert bar is not None
        bar.setDrawBase(False)  # a white line below what runs
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
        self.running = RunningLine()
        self.running.wanted.connect(self.show_run)
        layout.addWidget(self.running)
        layout.addWidget(self.tabs)
        self.setMinimumWidth(WIDTH)
        state = shared_state()
        state.correcting.connect(self._show_finetune)
        state.scan_opened.connect(self._show_predict)
        state.labels_offered.connect(self._show_finetune)
        bind_keys(napari_viewer, self.tabs, self.finetune.new_layer)

    def _show_finetune(self, *_: object) -> None:
        self.tabs.setCurrentWidget(self.finetune)

    def _show_predict(self, _layer: str) -> None:
        self.tabs.setCurrentWidget(self.predict)

    def show_run(self, path: Path) -> None:
        """Show a run under Runs."""
        self.tabs.setCurrentWidget(self.runs)
        shared_state().select_run(path)
