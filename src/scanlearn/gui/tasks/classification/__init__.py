"""Classification in the docks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanlearn.gui.tasks.dock_task import DockTask

if TYPE_CHECKING:
    from scanlearn.gui.tasks.classification.panel import ImageLabelsPanel
    from scanlearn.gui.tasks.classification.result import ClassificationResult
    from scanlearn.gui.viewer.layers import LayerData, Origin
    from scanlearn.prediction.summary import Prediction
    from scanlearn.scans.geometry import Grid


class ClassificationDock(DockTask):
    """A table in, probabilities and activation maps out."""

    def panel(self, viewer: Any) -> ImageLabelsPanel:
        """Return what gathers the labels."""
        from scanlearn.gui.tasks.classification.panel import ImageLabelsPanel

        return ImageLabelsPanel(viewer)

    def overlay(
        self, prediction: Prediction, origin: Origin, shown: Grid
    ) -> list[LayerData]:
        """Return the activation maps."""
        from scanlearn.gui.tasks.classification.overlay import activation_layers

        return activation_layers(prediction, origin, shown)

    def result(self, viewer: Any) -> ClassificationResult:
        """Return what tells the result."""
        from scanlearn.gui.tasks.classification.result import ClassificationResult

        return ClassificationResult(viewer)
