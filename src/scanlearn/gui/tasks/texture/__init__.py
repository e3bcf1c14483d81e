"""Texture in the docks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanlearn.gui.tasks.dock_task import DockTask

if TYPE_CHECKING:
    from scanlearn.gui.tasks.texture.panel import PlacesPanel
    from scanlearn.gui.tasks.texture.result import TextureResult
    from scanlearn.gui.viewer.layers import LayerData, Origin
    from scanlearn.prediction.summary import Prediction
    from scanlearn.scans.geometry import Grid


class TextureDock(DockTask):
    """Points and regions in, maps of classes out."""

    def panel(self, viewer: Any) -> PlacesPanel:
        """Return what gathers the labels."""
        from scanlearn.gui.tasks.texture.panel import PlacesPanel

        return PlacesPanel(viewer)

    def overlay(
        self, prediction: Prediction, origin: Origin, shown: Grid
    ) -> list[LayerData]:
        """Return the map of classes and the lung below -950 HU."""
        from scanlearn.gui.tasks.texture.result import texture_layers

        return texture_layers(prediction, origin, shown)

    def result(self, viewer: Any) -> TextureResult:
        """Return what tells the result."""
        from scanlearn.gui.tasks.texture.result import TextureResult

        return TextureResult(viewer)
