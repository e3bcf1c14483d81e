"""Layers of what an encoder finds alike: the light, the clicks, and a label of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.config.palette import class_colour
from scanlearn.gui.viewer.layers import (
    OVERLAY,
    LayerData,
    Origin,
    labels_layer,
    placed,
)
from scanlearn.gui.viewer.world_points import world_points
from scanlearn.prediction.representation.likeness import UNKNOWN, FeatureMap, lit
from scanlearn.scans.geometry import Grid

#: Diameter of the mark of a click, and twice how far from it slices show it.
_MARK_MM, _SEEN_MM = 5.0, 10.0


def likes_layer(features: FeatureMap, origin: Origin) -> LayerData:
    """Return the layer that lights up over a scan, dark until somebody clicks."""
    from napari.utils import Colormap

    colour = class_colour(1)
    dark = np.full(features.grid.shape, UNKNOWN, dtype=np.float32)
    return (
        dark,
        {
            "name": f"{origin.patient} · alike",
            "contrast_limits": (0.0, 1.0),
            # From clear at once to the colour: what is just like enough is seen, too.
            "colormap": Colormap(
                [colour + "00", colour + "70", colour],
                controls=[0.0, 0.01, 1.0],
                name="alike",
            ),
            "blending": "translucent",
            "opacity": 0.7,
            "visible": False,
            **placed(features.grid, origin, {OVERLAY: True}),
        },
        "image",
    )


def lit_layer(
    likeness: NDArray[np.float32],
    grid: Grid,
    shown: Grid,
    origin: Origin,
    least: float,
) -> LayerData:
    """Return what is at least so like as class 1 of a label layer; slow."""
    found = lit(likeness, grid, shown, least).astype(np.uint8)
    classes = {1: "alike"}
    return labels_layer(found, shown, origin, name="alike", classes=classes)


def tissue_points() -> dict[str, Any]:
    """Return the settings of the points layer that is clicked into."""
    return {
        **world_points(_SEEN_MM),
        "size": _MARK_MM / _SEEN_MM,
        "face_color": "transparent",
        "border_color": "white",
    }
