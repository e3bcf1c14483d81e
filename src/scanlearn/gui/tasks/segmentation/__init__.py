"""Segmentation in the docks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanlearn.gui.tasks.dock_task import DockTask

if TYPE_CHECKING:
    from scanlearn.gui.tasks.segmentation.panel import PaintedPanel
    from scanlearn.gui.tasks.segmentation.result import ClassResult
    from scanlearn.gui.viewer.layers import LayerData, Origin
    from scanlearn.prediction.summary import Prediction
    from scanlearn.scans.geometry import Grid


class SegmentationDock(DockTask):
    """Painted layers in, label maps out."""

    def panel(self, viewer: Any) -> PaintedPanel:
        """Return what gathers the labels."""
        from scanlearn.gui.tasks.segmentation.panel import PaintedPanel

        return PaintedPanel(viewer)

    def overlay(
        self, prediction: Prediction, origin: Origin, shown: Grid
    ) -> list[LayerData]:
        """Return the label map, its probabilities and uncertainty."""
        from scanlearn.gui.tasks.shared.label_layers import label_layers

        return label_layers(prediction, origin, shown)

    def result(self, viewer: Any) -> ClassResult:
        """Return what tells the result."""
        from scanlearn.gui.tasks.segmentation.result import ClassResult

        return ClassResult(viewer)
