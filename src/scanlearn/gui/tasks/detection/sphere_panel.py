"""Labels of detection in volumes: points with a diameter, a table, masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDoubleSpinBox, QWidget

from scanlearn.gui.kit.widgets import labelled
from scanlearn.gui.tasks.detection.mark_panel import MarkPanel
from scanlearn.gui.tasks.detection.marked_spheres import (
    Marked,
    amount_marked,
    chosen_points,
    new_points,
    set_diameter,
    snapshot_points,
)
from scanlearn.gui.viewer.labels_io import Amount
from scanlearn.gui.viewer.world_points import LARGEST_MM

if TYPE_CHECKING:
    from scanlearn.tasks.detection.finding_set import Kind

_USUAL_MM = 10.0


class SpherePanel(MarkPanel):
    """Beside the rest, the diameter of points."""

    kind: Kind = "spheres"
    usual = "nodule"
    layer_type = "Points"
    columns = "x, y, z, diameter"
    how = (
        "Click the middle of each nodule and set its diameter. Mark all of a scan: "
        "what is not marked is taken for no nodule. Scans without any are welcome: use "
        "an empty layer."
    )

    def more(self) -> list[QWidget]:
        """Return the diameter."""
        self.diameter = QDoubleSpinBox()
        self.diameter.setRange(1.0, LARGEST_MM)
        self.diameter.setSingleStep(0.5)
        self.diameter.setSuffix(" mm")
        self.diameter.setDecimals(1)
        self.diameter.setValue(_USUAL_MM)
        self.diameter.setToolTip("Of the selected points, and of those to come")
        self.diameter.valueChanged.connect(self._resize)
        return [labelled("Diameter", self.diameter)]

    def make_layer(self) -> object:
        """Add an empty Points layer over the shown scan."""
        return new_points(self.viewer, self.diameter.value())

    def chosen_layer(self) -> Any | None:
        """Return the Points layer to use."""
        return chosen_points(self.viewer)

    def snapshot(self, layer: Any) -> tuple[Marked, Amount]:
        """Copy the points of a layer."""
        marked = snapshot_points(layer)
        return marked, amount_marked(marked)

    def _resize(self, diameter_mm: float) -> None:
        layer = chosen_points(self.viewer)
        if layer is not None:
            set_diameter(layer, diameter_mm)
