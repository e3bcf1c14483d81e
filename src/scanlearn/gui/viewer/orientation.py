"""Which way the patient lies: letters at the canvas edges, the head always up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari.components.overlays import TextOverlay
from napari.layers import Image

from scanlearn.gui.viewer.layers import origin_of
from scanlearn.gui.viewer.slice_slider import follow_scan
from scanlearn.gui.viewer.status_line import show_status
from scanlearn.gui.viewer.volume_view import VolumeView
from scanlearn.gui.viewer.window_drag import drag_windows
from scanlearn.scans.geometry import PATIENT_LETTERS
from scanlearn.scans.scan import is_projection

#: Edge of the canvas -> key of its overlay.
_EDGES = ("top_center", "bottom_center", "middle_left", "middle_right")

#: Displayed world axes (rows, columns) of the three standard views.
VIEWS = {"Axial": (0, 1, 2), "Coronal": (1, 0, 2), "Sagittal": (2, 0, 1)}

#: World axes are (S, P, L): the letters of their far and near ends.
_LETTERS = tuple(reversed(PATIENT_LETTERS))

_HEAD_AXIS = 0

_OPPOSITE = {
    one: other for pair in PATIENT_LETTERS for one, other in (pair, pair[::-1])
}


def show_orientation(viewer: Any) -> None:
    """Keep letters, head-up views, a usable 3D view, status and slider of the scan.

    Calling twice is fine.
    """
    overlays = viewer.canvas.overlays
    if "scanlearn_top_center" in overlays:
        _refresh(viewer)
        return
    for edge in _EDGES:
        overlays[f"scanlearn_{edge}"] = TextOverlay(
            position=edge, font_size=13, box=True
        )
    # Held by the viewer's own events, so it lives exactly as long as the viewer.
    viewer.dims.events.order.connect(lambda: _refresh(viewer))
    viewer.dims.events.ndisplay.connect(lambda: _turn_to_front(viewer))
    viewer.layers.events.inserted.connect(lambda: _refresh(viewer))
    viewer.layers.events.removed.connect(lambda: _refresh(viewer))
    VolumeView(viewer)
    drag_windows(viewer)
    show_status(viewer)
    follow_scan(viewer)
    _refresh(viewer)


def show_view(viewer: Any, name: str) -> None:
    """Show the axial, coronal or sagittal slice."""
    viewer.dims.ndisplay = 2
    order = VIEWS[name]
    extra = viewer.dims.ndim - 3
    viewer.dims.order = (*range(extra), *(axis + extra for axis in order))
    viewer.reset_view()


def edge_letters(rows: int, columns: int) -> dict[str, str]:
    """Return the patient letter of each canvas edge.

    Parameters
    ----------
    rows, columns
        World axes (0 S, 1 P, 2 L) along the canvas's height and width. The head is
        up; all else runs down and to the right, which puts the patient's left on the
        right of the canvas, as radiologists expect it.
    """
    far, near = _LETTERS[rows]
    top, bottom = (far, near) if rows == _HEAD_AXIS else (near, far)
    right, left = _LETTERS[columns]
    return dict(zip(_EDGES, (top, bottom, left, right), strict=True))


def radiograph_letters(known: Sequence[str], rows: int) -> dict[str, str]:
    """Return the patient letter of each canvas edge over a radiograph.

    Parameters
    ----------
    known
        Letters of where the image's rows and columns run to; none if not known.
    rows
        Array axis (1 or 2) along the canvas's height.
    """
    if not known:
        return {}
    right, bottom = known if rows == 1 else reversed(known)
    top, left = _OPPOSITE[bottom], _OPPOSITE[right]
    return dict(zip(_EDGES, (top, bottom, left, right), strict=True))


def _refresh(viewer: Any) -> None:
    ours = any(origin_of(layer) is not None for layer in viewer.layers)
    flat = viewer.dims.ndisplay == 2 and viewer.dims.ndim == 3
    letters: dict[str, str] = {}
    if ours and flat:
        rows, columns = viewer.dims.order[-2:]
        known = _letters_of_images(viewer)
        if known <= {None}:
            letters = edge_letters(rows, columns)
        elif len(known) == 1 and _HEAD_AXIS not in (rows, columns):
            letters = radiograph_letters(known.pop() or (), rows)
        up = "up" if rows == _HEAD_AXIS else "down"
        viewer.scene.camera.orientation = ("away", up, "right")
    elif ours:
        # Left-handed axes would show the mirror image of the patient.
        viewer.scene.camera.orientation = ("away", "down", "right")
    viewer.canvas.overlays["scale_bar"].visible = _has_scale(viewer)
    for edge in _EDGES:
        overlay = viewer.canvas.overlays[f"scanlearn_{edge}"]
        overlay.text = letters.get(edge, "")
        overlay.visible = edge in letters


def _has_scale(viewer: Any) -> bool:
    """Whether all that is shown is of known size: a bar of millimetres would lie."""
    origins = [origin_of(layer) for layer in viewer.layers]
    return all(origin is None or origin.has_scale for origin in origins)


def _letters_of_images(viewer: Any) -> set[tuple[str, ...] | None]:
    """Return the letters of the radiographs shown, and None for volumes.

    Several of these at once have no letter in common; a picture knows none.
    """
    images = [layer for layer in viewer.layers if isinstance(layer, Image)]
    origins = [origin for origin in map(origin_of, images) if origin is not None]
    return {
        origin.letters if is_projection(origin.grid.shape, origin.modality) else None
        for origin in origins
    }


def _turn_to_front(viewer: Any) -> None:
    _refresh(viewer)
    ours = any(origin_of(layer) is not None for layer in viewer.layers)
    if ours and viewer.dims.ndisplay == 3:
        # Looking to the patient's back, the head up.
        viewer.scene.camera.set_view_direction((0, 1, 0), (1, 0, 0))
