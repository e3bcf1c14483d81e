"""Boxes drawn on radiographs: what a detector learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Shapes

from scanlearn.config.palette import class_colour
from scanlearn.errors import BadLabels
from scanlearn.gui.tasks.detection.box_layers import on_pixels
from scanlearn.gui.tasks.detection.marked_spheres import Marked
from scanlearn.gui.viewer.labels_io import Amount
from scanlearn.gui.viewer.layers import origin_of
from scanlearn.gui.viewer.new_layers import scan_to_mark
from scanlearn.scans.boxes import as_boxes, to_plane
from scanlearn.scans.geometry import world_to_patient


def new_boxes(viewer: Any) -> Any:
    """Add an empty Shapes layer over the shown radiograph, ready to draw rectangles.

    Raises
    ------
    BadLabels
        If no radiograph is shown.
    """
    _, origin = scan_to_mark(viewer)
    if origin.grid.shape[0] != 1:
        raise BadLabels(
            "The shown scan is a volume",
            expected="a radiograph of the chosen cohort",
            next_step="Add a radiograph under Scans, or choose a cohort of volumes",
        )
    layer = viewer.add_shapes(
        [],
        name=f"{origin.patient} · mine (boxes)",
        edge_color=class_colour(1),
        **on_pixels(origin),
    )
    layer.mode = "add_rectangle"
    return layer


def chosen_boxes(viewer: Any) -> Any | None:
    """Return the Shapes layer to use: selected, else the last one tied to a scan."""
    selected = viewer.layers.selection.active
    candidates = [selected, *reversed(viewer.layers)]
    return next((layer for layer in candidates if _is_boxes(layer)), None)


def snapshot_boxes(layer: Any) -> Marked:
    """Copy a Shapes layer that belongs to a radiograph; no shape says there is none.

    Whatever was drawn, ellipses and polygons too, counts as the box around it.

    Raises
    ------
    BadLabels
        If a shape has no width or no height.
    """
    origin = origin_of(layer)
    assert origin is not None
    boxes = []
    for number, shape in enumerate(layer.data, start=1):
        world = np.array([layer.data_to_world(point) for point in shape])
        index = origin.grid.to_index(world_to_patient(world))[:, 1:]
        (top, left), (bottom, right) = index.min(axis=0), index.max(axis=0)
        if bottom <= top or right <= left:
            raise BadLabels(
                f"Shape {number} of the layer '{layer.name}' has no width or no height",
                expected="rectangles around what is abnormal",
                next_step="Delete it or draw it anew, then press 'Use this layer'",
            )
        boxes.append((left, top, right - left, bottom - top))
    return Marked(layer.name, to_plane(as_boxes(boxes), origin.grid), origin)


def amount_of_boxes(marked: Marked) -> Amount:
    """Say how many boxes there are."""
    n = len(marked.objects)
    if not n:
        return Amount("nothing here", "looked at: nothing to find on it", ())
    short = f"{n} box{'es' * (n != 1)}"
    return Amount(short, short, ())


def _is_boxes(layer: Any) -> bool:
    return (
        isinstance(layer, Shapes) and layer.ndim == 3 and origin_of(layer) is not None
    )
