"""Brightness by dragging with the right button, as in radiologists' viewers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from scanlearn.gui.viewer.layers import is_ct, set_contrast
from scanlearn.gui.viewer.new_layers import scan_in_view

#: Pixels to the right that make a window e times as wide.
_PIXELS_OF_E = 250.0

#: Pixels up or down that move the centre by the width of the window.
_PIXELS_OF_WIDTH = 300.0

_RIGHT_BUTTON = 2

_NARROWEST = 1e-3


def drag_windows(viewer: Any) -> None:
    """Let right drags change the window: across the width, up and down the centre."""
    viewer.mouse_drag_callbacks.append(_drag)


def dragged(
    limits: tuple[float, float], across: float, down: float
) -> tuple[float, float]:
    """Return the limits of black and white after a drag, in pixels.

    To the right the window gets wider, and downwards all gets darker.
    """
    low, high = limits
    centre, width = (low + high) / 2, high - low
    width = max(width * math.exp(across / _PIXELS_OF_E), _NARROWEST)
    centre += down / _PIXELS_OF_WIDTH * (high - low)
    return centre - width / 2, centre + width / 2


def _drag(viewer: Any, event: Any) -> Iterator[None]:
    scan = scan_in_view(viewer)
    if event.button != _RIGHT_BUTTON or scan is None or viewer.dims.ndisplay != 2:
        return
    camera = viewer.scene.camera
    panned, camera.mouse_pan = camera.mouse_pan, False  # napari would zoom
    first, before = np.array(event.pos, dtype=float), tuple(scan.contrast_limits)
    try:
        yield
        while event.type == "mouse_move":
            across, down = np.array(event.pos, dtype=float) - first
            _show(viewer, scan, dragged(before, across, down))
            yield
    finally:
        camera.mouse_pan = panned


def _show(viewer: Any, scan: Any, limits: tuple[float, float]) -> None:
    """Give a scan other limits, and every CT with it, as presets do."""
    others = filter(is_ct, viewer.layers) if is_ct(scan) else ()
    for layer in {scan, *others}:
        set_contrast(layer, *limits)
