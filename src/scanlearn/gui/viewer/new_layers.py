"""New label layers, exactly on the grid of the scan they are painted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Image, Labels

from scanlearn.config.palette import class_colour
from scanlearn.errors import BadLabels
from scanlearn.gui.viewer.layers import (
    CLASSES,
    KNOWN,
    OVERLAY,
    Origin,
    class_colormap,
    class_features,
    grid_of,
    labels_layer,
    origin_of,
    points_layer,
)


def shown_scan(viewer: Any) -> Any | None:
    """Return the image layer of the scan the user works on: selected, else the last."""
    selected = viewer.layers.selection.active
    candidates = [selected, *reversed(viewer.layers)]
    return next((layer for layer in candidates if is_scan(layer)), None)


def scan_in_view(viewer: Any) -> Any | None:
    """Return the scan that is selected or belongs to what is; else the last seen."""
    layers = viewer.layers
    selected = layers.selection.active
    if selected is not None and is_scan(selected):
        return selected
    scans = [layer for layer in reversed(layers) if is_scan(layer)]
    origin = None if selected is None else origin_of(selected)
    if origin is not None:
        for scan in scans:
            if origin.same_scan(_origin(scan)):
                return scan
    seen = [scan for scan in scans if scan.visible]
    return next(iter(seen + scans), None)


def _origin(scan: Any) -> Origin:
    found = origin_of(scan)
    assert found is not None
    return found


def scan_to_mark(viewer: Any) -> tuple[Any, Origin]:
    """Return the layer of the shown scan and where it came from.

    Raises
    ------
    BadLabels
        If no scan is shown.
    """
    image = shown_scan(viewer)
    if image is None:
        raise BadLabels(
            "No scan is shown to draw on",
            expected="a scan in the viewer",
            next_step="Add one under Scans, then make the layer again",
        )
    return image, _origin(image)


def chosen_labels(viewer: Any) -> Any | None:
    """Return the Labels layer to use: selected, else the last one tied to a scan."""
    selected = viewer.layers.selection.active
    candidates = [selected, *reversed(viewer.layers)]
    return next((layer for layer in candidates if _is_painted(layer)), None)


def new_labels(viewer: Any, classes: Mapping[int, str]) -> Any:
    """Add an empty Labels layer over the shown scan, ready to paint class 1.

    Raises
    ------
    BadLabels
        If no scan is shown.
    """
    image, origin = scan_to_mark(viewer)
    grid = grid_of(image)
    empty = np.zeros(grid.shape, dtype=np.uint8)
    data, settings, _ = labels_layer(empty, grid, origin, name="mine", classes=classes)
    settings["metadata"][KNOWN] = None
    layer = viewer.add_labels(data, **settings)
    layer.selected_label = min(classes, default=1)
    layer.brush_size = 10
    layer.mode = "paint"
    return layer


def new_points(viewer: Any, classes: Mapping[int, str]) -> Any:
    """Add an empty Points layer over the shown scan; the keys 1 to 9 choose the class.

    Raises
    ------
    BadLabels
        If no scan is shown.
    """
    image, origin = scan_to_mark(viewer)
    grid = grid_of(image)
    data, settings, _ = points_layer(grid, origin, name="mine", classes=classes)
    layer = viewer.add_points(data, **settings)
    for value in classes:
        if value < 10:
            layer.bind_key(str(value), _chooser(value), overwrite=True)
    _choose(layer, min(classes, default=1))
    layer.mode = "add"
    return layer


def _chooser(value: int) -> Any:
    return lambda layer: _choose(layer, value)


def _choose(layer: Any, value: int) -> None:
    """Make a class that of the next points, and of the selected ones."""
    layer.feature_defaults = {"value": value}
    layer.current_face_color = class_colour(value)
    if len(layer.selected_data):
        chosen = list(layer.selected_data)
        features = layer.features.copy()
        features.loc[chosen, "value"] = value
        layer.features = features
    name = layer.metadata[CLASSES].get(value, f"class {value}")
    layer.help = f"next points: {name}"


def recolour(viewer: Any, classes: Mapping[int, str]) -> None:
    """Give painted layers the colours and names of the classes."""
    for layer in viewer.layers:
        if _is_painted(layer) and layer.metadata.get(CLASSES) != dict(classes):
            layer.metadata[CLASSES] = dict(classes)
            layer.features = class_features(classes)
            layer.colormap = class_colormap(classes)


def is_scan(layer: Any) -> bool:
    """Whether a layer is the image of a scan of ours, not an overlay of one."""
    return (
        isinstance(layer, Image)
        and layer.ndim == 3
        and origin_of(layer) is not None
        and not layer.metadata.get(OVERLAY, False)
    )


def _is_painted(layer: Any) -> bool:
    return isinstance(layer, Labels) and origin_of(layer) is not None
