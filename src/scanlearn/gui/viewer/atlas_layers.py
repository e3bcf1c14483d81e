"""Where an encoder's atlas and landmarks lie in a scan, as layers over it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scanlearn.errors import BadScan
from scanlearn.gui.viewer.layers import (
    OVERLAY,
    LayerData,
    Origin,
    class_colormap,
    class_features,
    placed,
)
from scanlearn.gui.viewer.world_points import in_voxels, world_points
from scanlearn.scans.geometry import Grid

#: Names of the atlas's labels.
_SIDES = {1: "right lung", 2: "left lung"}

#: Diameter of a landmark's dot.
_DOT_MM = 9.0

#: A landmark is seen within half of it, half way to the next landmark, ever smaller.
_APART_MM = 26.0


@dataclass(frozen=True)
class Located:
    """How well an atlas lies in a scan, and the layers that show it."""

    sentence: str
    usable: bool
    layers: tuple[LayerData, ...]


def read_located(folder: Path, origin: Origin, shown: Grid) -> Located:
    """Read what a ``landmarks`` job wrote; the outline comes on the displayed grid.

    Raises
    ------
    BadScan
        If it wrote nothing that can be shown.
    """
    import pandas as pd

    try:
        (summary,) = folder.glob("*_locations.json")
        about = json.loads(summary.read_text(encoding="utf-8"))
        name = summary.name.removesuffix("_locations.json")
        table = pd.read_csv(folder / f"{name}_landmarks.csv")
        points = table[["z", "y", "x"]].to_numpy(dtype=float)
        inside = table["inside"].to_numpy(dtype=float)
        layers = [_points(points, inside, origin)]
        outline = folder / f"{name}_atlas.nii.gz"
        if outline.exists():
            layers.insert(0, _outline(outline, origin, shown))
        return Located(_sentence(about), bool(about["usable"]), tuple(layers))
    except (OSError, ValueError, KeyError) as error:
        raise BadScan(
            f"The locations of {origin.source.name} cannot be shown: {error}",
            next_step="Try 'scanlearn landmarks' in a terminal",
        ) from None


def _sentence(about: dict[str, object]) -> str:
    quality = about["quality"]
    text = f"Placed by {about['method']}"
    if isinstance(quality, dict):
        text += (
            f": overlap (Dice) {quality['dice']:.2f}, turned by "
            f"{quality['rotation_degrees']:.0f}°, {quality['missed']:.0%} of the "
            "landmarks miss the organ"
        )
    problems = about["problems"]
    assert isinstance(problems, list)
    if problems:
        text += f". Look at it: {'; '.join(problems)}"
    return text + "."


def _outline(path: Path, origin: Origin, shown: Grid) -> LayerData:
    from scanlearn.scans.labels.read_labels import read_label_map
    from scanlearn.scans.resample import resample

    labels, grid = read_label_map(path)
    return (
        # Its own, finer slices would put steps between those of the scan.
        np.ascontiguousarray(resample(labels, grid, shown, order=0, outside=0)),
        {
            "name": f"{origin.patient} · atlas",
            "colormap": class_colormap(_SIDES),
            "features": class_features(_SIDES),
            "opacity": 0.9,
            **placed(shown, origin, {OVERLAY: True}),
        },
        "labels",
    )


def _points(points: np.ndarray, inside: np.ndarray, origin: Origin) -> LayerData:
    """Return landmarks (n, 3) in world order, coloured by their lung fraction."""
    return (
        in_voxels(points, _APART_MM),
        {
            "name": f"{origin.patient} · landmarks",
            "features": {"lung fraction": inside},
            "face_color": "lung fraction",
            "face_colormap": "viridis",
            "face_contrast_limits": (0.0, 1.0),
            "border_color": "white",
            "border_width": 0.08,
            "size": _DOT_MM / _APART_MM,
            **world_points(_APART_MM),
            "projection_mode": "rescale_linear",
            "metadata": {OVERLAY: True},
        },
        "points",
    )
