"""A review as it is seen: rings or boxes in the colour of their score or verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Points
from numpy.typing import NDArray

from scanlearn.gui.tasks.detection.box_layers import rectangles
from scanlearn.gui.tasks.detection.ring_labels import RingLabel
from scanlearn.gui.tasks.detection.score_colours import COLORMAP, VERDICTS
from scanlearn.gui.viewer.world_points import in_voxels
from scanlearn.prediction.review import Judged, middle_of
from scanlearn.scans.geometry import Grid, world_to_patient
from scanlearn.scans.tables.finding_table import BoxFinding, Finding

#: A ring this thick, as a share of the diameter, leaves the finding to be seen.
_RING, _CHOSEN = 0.08, 0.16

#: What a verdict looks like where there is no colour.
MARKS = {"": "", "accepted": "✓", "rejected": "✗", "added": "+"}


def show_review(
    layer: Any, items: Sequence[Judged], shown: Sequence[bool], chosen: int
) -> None:
    """Let a layer show some of the findings, one of them thicker than the others."""
    colours = _colours(items)
    if isinstance(layer, Points):
        _show_rings(layer, items, shown, chosen, colours)
        return
    # Shapes cannot be hidden one by one: only those that are shown are in the layer.
    kept = [number for number, is_shown in enumerate(shown) if is_shown]
    layer.selected_data = set(range(layer.nshapes))
    layer.remove_selected()
    boxes = [items[number].finding for number in kept]
    flat = [one for one in boxes if isinstance(one, BoxFinding)]
    if flat:
        width = layer.current_edge_width
        layer.add_rectangles(
            rectangles(flat),
            edge_color=colours[kept],
            face_color="transparent",
            edge_width=[width * (2 if number == chosen else 1) for number in kept],
        )
        layer.features = {"score": [one.score for one in flat]}


def words_of(one: Judged, grid: Grid) -> RingLabel:
    """Return what stands beside a finding, and where that finding is."""
    middle = middle_of(one.finding, grid)[::-1]
    if isinstance(one.finding, Finding):
        score = f"{one.finding.score:.2f} · " if one.verdict != "added" else ""
        text = f"{MARKS[one.verdict]} {score}{one.finding.diameter_mm:.1f} mm".strip()
        half = one.finding.diameter_mm / 2
        return RingLabel(middle, (half, half, half), text)
    text = f"{MARKS[one.verdict]} {one.finding.score:.2f}".strip()
    width, height = one.finding.box[2:]
    sides = [0.0, height * grid.spacing_mm[1] / 2, width * grid.spacing_mm[2] / 2]
    _, down, right = np.abs(grid.directions @ sides)[::-1].tolist()
    return RingLabel(middle, (0.0, down, right), text)


def _show_rings(
    layer: Any,
    items: Sequence[Judged],
    shown: Sequence[bool],
    chosen: int,
    colours: NDArray[np.float64],
) -> None:
    spheres = [one.finding for one in items if isinstance(one.finding, Finding)]
    if len(layer.data) != len(spheres):
        centres = np.array([one.centre for one in spheres]).reshape(-1, 3)
        layer.data = in_voxels(world_to_patient(centres))
        layer.face_color = "transparent"
    if not spheres:
        return
    diameters = [one.diameter_mm for one in spheres]
    layer.size = in_voxels(diameters)
    layer.border_color = colours
    layer.border_width = [
        _CHOSEN if number == chosen else _RING for number in range(len(spheres))
    ]
    layer.shown = np.array(shown, dtype=bool)
    layer.features = {
        "score": [one.score for one in spheres],
        "diameter_mm": diameters,
        "verdict": [one.verdict for one in items],
    }


def _colours(items: Sequence[Judged]) -> NDArray[np.float64]:
    from napari.utils.colormaps import ensure_colormap
    from napari.utils.colormaps.standardize_color import transform_color

    scores = np.array([one.finding.score for one in items], dtype=float)
    colours = np.asarray(ensure_colormap(COLORMAP).map(scores), dtype=float)
    for number, one in enumerate(items):
        if one.verdict:
            colours[number] = transform_color(VERDICTS[one.verdict])[0]
    return colours
