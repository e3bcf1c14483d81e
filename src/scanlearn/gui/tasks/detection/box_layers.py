"""Boxes found on radiographs, as napari rectangles.

Shapes lie in pixels of the file, with its affine: what is shown is what tables hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.config.palette import class_colour
from scanlearn.gui.tasks.detection.score_colours import COLORMAP
from scanlearn.gui.viewer.layers import LayerData, Origin, placed
from scanlearn.scans.boxes import as_boxes

if TYPE_CHECKING:
    from scanlearn.scans.tables.finding_table import BoxFinding

#: Thickness of a box's edge, as a share of the image's long side.
_EDGE = 1 / 250


def box_layer(
    findings: Sequence[BoxFinding], origin: Origin, *, name: str
) -> LayerData:
    """Return findings as rectangles with the score's colour."""
    settings: dict[str, Any] = {
        "name": f"{origin.patient} · {name} (findings)",
        **on_pixels(origin),
        **coloured(findings),
    }
    return rectangles(findings), settings, "shapes"


def rectangles(findings: Sequence[BoxFinding]) -> NDArray[np.float64]:
    """Return the corners (n, 4, 3) of boxes as indices of the file's voxels."""
    x, y, width, height = as_boxes([one.box for one in findings]).T
    columns = np.stack([x, x + width, x + width, x], axis=1)
    rows = np.stack([y, y, y + height, y + height], axis=1)
    return np.stack([np.zeros_like(rows), rows, columns], axis=2)


def coloured(findings: Sequence[BoxFinding]) -> dict[str, Any]:
    """Return the scores of findings as features, and their colours."""
    from napari.utils.colormaps import ensure_colormap

    scores = np.array([one.score for one in findings], dtype=float)
    colours = ensure_colormap(COLORMAP).map(scores) if len(scores) else class_colour(1)
    return {"features": {"score": scores}, "edge_color": colours}


def on_pixels(origin: Origin) -> dict[str, Any]:
    """Return what shapes on a radiograph share: pixels of the file, whose they are."""
    return {
        "ndim": 3,
        "shape_type": "rectangle",
        "face_color": "transparent",
        "opacity": 1.0,
        "edge_width": max(1.0, max(origin.grid.shape) * _EDGE),
        **placed(origin.grid, origin),
    }
