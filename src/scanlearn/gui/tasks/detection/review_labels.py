"""A review as labels of its scan, as the Fine-tune dock lists them."""

from __future__ import annotations

from scanlearn.gui.tasks.detection.drawn_boxes import amount_of_boxes
from scanlearn.gui.tasks.detection.marked_spheres import Marked, amount_marked
from scanlearn.gui.viewer.labels_io import Amount
from scanlearn.gui.viewer.layers import Origin
from scanlearn.prediction.review import Review
from scanlearn.scans.boxes import as_boxes, to_plane
from scanlearn.scans.spheres import as_spheres
from scanlearn.scans.tables.finding_table import BoxFinding, Finding


def labels_of(
    review: Review, kind: type[Finding] | type[BoxFinding], name: str, origin: Origin
) -> tuple[Marked, Amount]:
    """Return what was accepted and added; the rest of the scan counts as none."""
    kept = review.kept
    if kind is BoxFinding:
        boxes = [one.box for one in kept if isinstance(one, BoxFinding)]
        marked = Marked(name, to_plane(as_boxes(boxes), origin.grid), origin)
        return marked, amount_of_boxes(marked)
    found = [(*one.centre, one.diameter_mm) for one in kept if isinstance(one, Finding)]
    marked = Marked(name, as_spheres(found), origin)
    return marked, amount_marked(marked)
