"""Points with a diameter on a scan: what a detector learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Points
from numpy.typing import NDArray

from scanlearn.config.palette import class_colour
from scanlearn.gui.tasks.detection.overlay import in_world
from scanlearn.gui.viewer.labels_io import Amount
from scanlearn.gui.viewer.layers import Origin, origin_of
from scanlearn.gui.viewer.new_layers import scan_to_mark
from scanlearn.gui.viewer.world_points import diameters_mm, in_voxels, size_by_slider
from scanlearn.scans.geometry import world_to_patient

_RING = 0.08


@dataclass(frozen=True, eq=False)
class Marked:
    """A snapshot of a layer: spheres or boxes (n, 4) as a cohort's labels have them."""

    name: str
    objects: NDArray[np.float64]
    origin: Origin


def new_points(viewer: Any, diameter_mm: float) -> Any:
    """Add an empty Points layer over the shown scan, ready to add points to.

    Raises
    ------
    BadLabels
        If no scan is shown.
    """
    _, origin = scan_to_mark(viewer)
    layer = viewer.add_points(
        np.empty((0, 3)),
        name=f"{origin.patient} · mine (points)",
        size=float(in_voxels(diameter_mm)),
        face_color="transparent",
        border_color=class_colour(1),
        border_width=_RING,
        **in_world(origin),
    )
    size_by_slider(layer)
    layer.mode = "add"
    return layer


def chosen_points(viewer: Any) -> Any | None:
    """Return the Points layer to use: selected, else the last one tied to a scan."""
    selected = viewer.layers.selection.active
    candidates = [selected, *reversed(viewer.layers)]
    return next((layer for layer in candidates if _is_marked(layer)), None)


def set_diameter(layer: Any, diameter_mm: float) -> None:
    """Give selected points and those to come a diameter."""
    layer.current_size = float(in_voxels(diameter_mm))


def snapshot_points(layer: Any) -> Marked:
    """Copy a Points layer that belongs to a scan; none says that there is none."""
    origin = origin_of(layer)
    assert origin is not None
    world = np.array([layer.data_to_world(point) for point in layer.data])
    centres = world_to_patient(world.reshape(-1, 3))
    objects = np.column_stack([centres, diameters_mm(layer)])
    return Marked(layer.name, objects, origin)


def amount_marked(marked: Marked) -> Amount:
    """Say how many points there are."""
    n = len(marked.objects)
    if not n:
        return Amount("none in this scan", "looked at: nothing to find in it", ())
    low, high = marked.objects[:, 3].min(), marked.objects[:, 3].max()
    sizes = f"{low:.0f} mm" if low == high else f"{low:.0f} to {high:.0f} mm"
    short = f"{n} point{'s' * (n != 1)}, {sizes}"
    return Amount(short, f"{short} in diameter", ())


def _is_marked(layer: Any) -> bool:
    return (
        isinstance(layer, Points) and layer.ndim == 3 and origin_of(layer) is not None
    )
