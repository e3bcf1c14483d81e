"""What lies under the mouse, told in napari's status bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Labels

from scanlearn.gui.viewer.layers import CLASSES, OVERLAY, is_ct, origin_of
from scanlearn.gui.viewer.new_layers import scan_in_view
from scanlearn.scans.geometry import PATIENT_LETTERS


def show_status(viewer: Any) -> None:
    """Say what lies under the mouse in place of napari's array coordinates."""

    def tell(_event: object = None) -> None:
        words = status_of(viewer)
        if words and viewer.status != words:
            viewer.status = words  # emits once more, and then rests

    viewer.events.status.connect(tell)


def status_of(viewer: Any) -> str:
    """Return such as ``"−612 HU · L 34 P 12 S 88 mm · lung · slice 87 of 275"``.

    Empty where no scan of ours is shown in slices.
    """
    scan = scan_in_view(viewer)
    if scan is None or viewer.dims.ndisplay != 2 or viewer.dims.ndim != 3:
        return ""
    place = np.asarray(viewer.cursor.position, dtype=float)
    parts = [_value(scan, place), _place(scan, place), *_over(viewer, place)]
    parts.append(_slice(scan, viewer.dims))
    return " · ".join(filter(None, parts))


def millimetres(place: Sequence[float]) -> str:
    """Return a place in (S, P, L) millimetres with the letters it lies towards."""
    pairs = zip(reversed(PATIENT_LETTERS), place, strict=True)
    words = [
        f"{far if mm >= 0 else near} {abs(mm):.0f}"
        for (far, near), mm in reversed(list(pairs))
    ]
    return f"{' '.join(words)} mm"


def _value(scan: Any, place: Any) -> str:
    value = _at(scan, place)
    if value is None:
        return "outside the scan"
    number = f"{float(value):.5g}".replace("-", "\N{MINUS SIGN}")
    return f"{number} HU" if is_ct(scan) else number


def _place(scan: Any, place: Any) -> str:
    origin = origin_of(scan)
    if origin is not None and not origin.has_scale:
        _, row, column = np.rint(scan.world_to_data(place)).astype(int)
        return f"row {row}, column {column}"
    return millimetres(place)


def _over(viewer: Any, place: Any) -> Iterator[str]:
    """Give what layers laid over the scan hold: classes, probabilities."""
    for layer in viewer.layers:
        if not layer.visible or layer.ndim != 3:
            continue
        value = _at(layer, place)
        if isinstance(layer, Labels) and value:
            names = layer.metadata.get(CLASSES, {})
            yield names.get(int(value), f"label {value}")
        elif isinstance(layer, Image) and layer.metadata.get(OVERLAY) and value:
            yield f"{layer.name.split(' · ')[-1]} {float(value):.2f}"


def _slice(scan: Any, dims: Any) -> str:
    axis = dims.order[0]
    count = scan.data.shape[axis]
    if count == 1:
        return ""
    index = round(scan.world_to_data(dims.point)[axis])
    return f"slice {min(max(index, 0), count - 1) + 1} of {count}"


def _at(layer: Any, place: Any) -> Any:
    """Return the value of the voxel at a place of the patient; None outside."""
    if not isinstance(layer, (Image, Labels)) or layer.multiscale:
        return None
    index = np.rint(layer.world_to_data(place)).astype(int)
    inside = (index >= 0).all() and (index < layer.data.shape).all()
    return layer.data[tuple(index)] if inside else None
