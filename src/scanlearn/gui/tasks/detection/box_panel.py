"""Labels of detection on radiographs: rectangles, or a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanlearn.gui.tasks.detection.drawn_boxes import (
    amount_of_boxes,
    chosen_boxes,
    new_boxes,
    snapshot_boxes,
)
from scanlearn.gui.tasks.detection.mark_panel import MarkPanel
from scanlearn.gui.tasks.detection.marked_spheres import Marked
from scanlearn.gui.viewer.labels_io import Amount

if TYPE_CHECKING:
    from scanlearn.tasks.detection.finding_set import Kind


class BoxPanel(MarkPanel):
    """Rectangles on radiographs."""

    kind: Kind = "boxes"
    usual = "abnormality"
    layer_type = "Shapes"
    columns = "x, y, width, height"
    how = (
        "Draw a rectangle around each abnormal region. Mark all of a radiograph: what "
        "is not marked is taken for normal. Radiographs with nothing are welcome: use "
        "an empty layer."
    )

    def make_layer(self) -> object:
        """Add an empty Shapes layer over the shown radiograph."""
        return new_boxes(self.viewer)

    def chosen_layer(self) -> Any | None:
        """Return the Shapes layer to use."""
        return chosen_boxes(self.viewer)

    def snapshot(self, layer: Any) -> tuple[Marked, Amount]:
        """Copy the boxes of a layer."""
        marked = snapshot_boxes(layer)
        return marked, amount_of_boxes(marked)
