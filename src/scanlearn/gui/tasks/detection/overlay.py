"""Findings as napari layers: points in volumes, rectangles on radiographs.

Where they are, as large as they are, coloured by score. Points lie in napari's world,
which is millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scanlearn.gui.shared.run_list import undated
from scanlearn.gui.tasks.detection.box_layers import box_layer
from scanlearn.gui.tasks.detection.score_colours import COLORMAP
from scanlearn.gui.viewer.layers import ORIGIN, LayerData, Origin
from scanlearn.gui.viewer.world_points import in_voxels, world_points
from scanlearn.prediction.summary import Prediction
from scanlearn.scans.geometry import Grid, world_to_patient

if TYPE_CHECKING:
    from scanlearn.scans.tables.finding_table import BoxFinding, Finding

#: A ring this thick, as a share of the diameter, leaves the finding to be seen.
_RING = 0.08


def finding_layers(
    prediction: Prediction, origin: Origin, shown: Grid
) -> list[LayerData]:
    """Return the findings of a prediction as a layer over its scan."""
    name = undated(prediction.run)
    if has_boxes(prediction):
        return [box_layer(boxes_of(prediction), origin, name=name)]
    return [findings_layer(findings_of(prediction), origin, name=name)]


def has_boxes(prediction: Prediction) -> bool:
    """Whether the findings of a prediction are boxes on a radiograph."""
    return prediction.facts.get("shape") == "box"


def findings_of(prediction: Prediction) -> list[Finding]:
    """Read the findings in a volume, best first."""
    from scanlearn.scans.tables.finding_table import read_findings

    table = prediction.table("findings.csv")
    return [] if table is None else read_findings(table)


def boxes_of(prediction: Prediction) -> list[BoxFinding]:
    """Read the findings on a radiograph, best first."""
    from scanlearn.scans.tables.finding_table import read_box_findings

    table = prediction.table("findings.csv")
    return [] if table is None else read_box_findings(table)


def findings_layer(
    findings: Sequence[Finding], origin: Origin, *, name: str
) -> LayerData:
    """Return findings as rings with the score's colour."""
    centres = np.array([one.centre for one in findings]).reshape(-1, 3)
    scores = np.array([one.score for one in findings])
    diameters = np.array([one.diameter_mm for one in findings])
    settings: dict[str, Any] = {
        "name": f"{origin.patient} · {name} (findings)",
        "features": {"score": scores, "diameter_mm": diameters},
        "size": in_voxels(diameters if len(findings) else 10.0),
        "face_color": "transparent",
        "border_width": _RING,
        **in_world(origin),
    }
    if len(findings):
        settings |= {
            "border_color": "score",
            "border_colormap": COLORMAP,
            "border_contrast_limits": (0.0, 1.0),
        }
    return in_voxels(world_to_patient(centres)), settings, "points"


def in_world(origin: Origin) -> dict[str, Any]:
    """Return what points of a scan share: how they lie in its world, whose they are."""
    return {**world_points(), "metadata": {ORIGIN: origin}}
