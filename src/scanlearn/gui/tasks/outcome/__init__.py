"""Outcome in the docks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanlearn.gui.tasks.dock_task import DockTask

if TYPE_CHECKING:
    from scanlearn.gui.tasks.outcome.panel import OutcomePanel
    from scanlearn.gui.tasks.outcome.result import OutcomeResult
    from scanlearn.gui.viewer.layers import LayerData, Origin
    from scanlearn.prediction.summary import Prediction
    from scanlearn.scans.geometry import Grid


class OutcomeDock(DockTask):
    """A column of a table in, numbers out."""

    def panel(self, viewer: Any) -> OutcomePanel:
        """Return what gathers the labels."""
        from scanlearn.gui.tasks.outcome.panel import OutcomePanel

        return OutcomePanel(viewer)

    def overlay(
        self, prediction: Prediction, origin: Origin, shown: Grid
    ) -> list[LayerData]:
        """Return nothing: an outcome is of the patient, not of a place."""
        return []

    def result(self, viewer: Any) -> OutcomeResult:
        """Return what tells the result."""
        from scanlearn.gui.tasks.outcome.result import OutcomeResult

        return OutcomeResult(viewer)
