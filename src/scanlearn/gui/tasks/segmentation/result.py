"""The result of a segmentation: classes with volumes, densities of the lungs."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import hint
from scanlearn.gui.tasks.shared.legend import Legend
from scanlearn.gui.tasks.shared.lungs_text import lungs_text
from scanlearn.gui.tasks.shared.result_panel import ResultPanel
from scanlearn.prediction.summary import Prediction


class ClassResult(ResultPanel):
    """A legend, and the lungs below it."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.legend = Legend()
        self.lungs = hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.legend)
        layout.addWidget(self.lungs)

    def show_prediction(self, prediction: Prediction, layers: list[Any]) -> None:
        """Show classes and densities."""
        self.legend.show_classes(prediction.classes)
        self.lungs.setText(lungs_text(prediction))
        self.lungs.setVisible(bool(self.lungs.text()))
