"""napari's slider over the slices of one scan, not of all scans that are open."""

from __future__ import annotations

from typing import Any

from scanlearn.gui.viewer.new_layers import is_scan, scan_in_view


def follow_scan(viewer: Any) -> None:
    """Let the sliders count the slices of the scan in view, whatever else is open.

    napari counts those of the box around all layers.
    """

    def fit(_event: object = None) -> None:
        wanted = ranges_of(viewer)
        if wanted is not None and tuple(viewer.dims.range) != wanted:
            viewer.dims.range = wanted  # calls this once more

    viewer.dims.events.range.connect(fit)
    viewer.layers.selection.events.active.connect(fit)
    fit()


def ranges_of(viewer: Any) -> tuple[tuple[float, float, float], ...] | None:
    """Return (first, last, step) of the scan in view along each world axis.

    None where there is nothing to choose from.
    """
    scan = scan_in_view(viewer)
    several = sum(map(is_scan, viewer.layers)) > 1
    if scan is None or viewer.dims.ndim != 3 or not several:
        return None
    extent = scan.extent
    first, last = extent.world
    spans = zip(first, last, extent.step, strict=True)
    return tuple((float(a), float(b), float(step)) for a, b, step in spans)
