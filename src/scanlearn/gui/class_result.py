"""The result of a segmentation: classes with volumes, densities of the lungs."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.legend import Legend
from scanlearn.gui.result_panel import ResultPanel
from scanlearn.gui.widgets import hint
from scanlearn.predict.summary import Prediction


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


def lungs_text(prediction: Prediction) -> str:
    """Return the densities of a chest CT with what makes them doubtful."""
    found = prediction.lungs
    if not found:
        return ""
    text = (
        f"Both lungs: {found['volume_ml']:,.0f} ml · "
        f"LAA-950 {found['laa950_percent']:.1f} % · "
        f"Perc15 {found['perc15_hu']:.0f} HU · mean {found['mean_hu']:.0f} HU"
    ).replace(" ", "\N{NO-BREAK SPACE}")
    # A number stays with its unit; a line may break at the dots.
    text = text.replace("·\N{NO-BREAK SPACE}", "· ")
    return "\n".join([text, *(f"⚠ {caution}" for caution in prediction.cautions)])
