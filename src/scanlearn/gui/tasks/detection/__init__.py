"""Detection in the docks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanlearn.gui.tasks.dock_task import DockTask

if TYPE_CHECKING:
    from scanlearn.gui.tasks.detection.panel import FindingPanel
    from scanlearn.gui.tasks.detection.result import FindingResult
    from scanlearn.gui.viewer.layers import LayerData, Origin
    from scanlearn.prediction.summary import Prediction
    from scanlearn.scans.geometry import Grid


class DetectionDock(DockTask):
    """Points and rectangles in, findings out."""

    reviewed = True

    def panel(self, viewer: Any) -> FindingPanel:
        """Return what gathers the labels."""
        from scanlearn.gui.tasks.detection.panel import FindingPanel

        return FindingPanel(viewer)

    def overlay(
        self, prediction: Prediction, origin: Origin, shown: Grid
    ) -> list[LayerData]:
        """Return the findings."""
        from scanlearn.gui.tasks.detection.overlay import finding_layers

        return finding_layers(prediction, origin, shown)

    def result(self, viewer: Any) -> FindingResult:
        """Return what tells the result."""
        from scanlearn.gui.tasks.detection.result import FindingResult

        return FindingResult(viewer)
