"""Findings as napari points: where they are, as large as they are, coloured by score.

Points lie in napari's world, which is millimetres, so that their sizes are too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scanlearn.gui.layers import AXIS_LABELS, ORIGIN, LayerData, Origin
from scanlearn.gui.run_list import undated
from scanlearn.predict.summary import Prediction
from scanlearn.scans.geometry import Grid, world_to_patient

if TYPE_CHECKING:
    from scanlearn.scans.findings import Finding

#: Told apart by colour-blind readers, and light where the score is high.
COLORMAP = "plasma"

#: Read on dark lung and on bright bone alike.
_TEXT = "#E69F00"

#: A ring this thick, as a share of the diameter, leaves the finding to be seen.
_RING = 0.08


def finding_layers(
    prediction: Prediction, origin: Origin, shown: Grid
) -> list[LayerData]:
    """Return the findings of a prediction as a layer over its scan."""
    name = undated(prediction.run)
    return [findings_layer(findings_of(prediction), origin, name=name)]


def findings_of(prediction: Prediction) -> list[Finding]:
    """Read the findings of a prediction, best first."""
    from scanlearn.scans.findings import read_findings

    table = prediction.table("findings.csv")
    return [] if table is None else read_findings(table)


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
        "size": diameters if len(findings) else 10.0,
        "face_color": "transparent",
        "border_width": _RING,
        "text": {
            "string": "{score:.2f} · {diameter_mm:.0f} mm",
            "color": _TEXT,
            "size": 9,
            "anchor": "upper_left",
        },
        **in_world(origin),
    }
    if len(findings):
        settings |= {
            "border_color": "score",
            "border_colormap": COLORMAP,
            "border_contrast_limits": (0.0, 1.0),
        }
    return world_to_patient(centres), settings, "points"


def in_world(origin: Origin) -> dict[str, Any]:
    """Return what points of a scan share: millimetres, axis letters, whose they are.

    A slice shows where it cuts the spheres (see :func:`see_across_slices`).
    """
    return {
        "ndim": 3,
        "projection_mode": "rescale_spherical",
        "units": ("mm",) * 3,
        "axis_labels": AXIS_LABELS,
        "metadata": {ORIGIN: origin},
    }


def see_across_slices(viewer: Any, radius_mm: float) -> None:
    """Let slices show spheres whose centres lie up to this far from them.

    Images and label maps do not follow: each of their slices stays itself.
    """
    viewer.dims.margin_left = tuple(
        max(radius_mm, mm) for mm in viewer.dims.margin_left
    )
    viewer.dims.margin_right = tuple(
        max(radius_mm, mm) for mm in viewer.dims.margin_right
    )
