"""A list of the scans that are shown, to choose one of them."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QComboBox

from scanlearn.gui.kit.widgets import fill
from scanlearn.gui.viewer.new_layers import is_scan


def offer_scans(box: QComboBox, viewer: Any, *, before: str = "") -> None:
    """Fill a list with the names of the scans shown; keeps what is chosen.

    Parameters
    ----------
    box
        The list; its data are names of layers, None without any scan.
    viewer
        Where the scans are shown; the newest comes first.
    before
        Stands before each name.
    """
    names = [layer.name for layer in viewer.layers if is_scan(layer)]
    items: list[tuple[str, object]] = [(before + n, n) for n in reversed(names)]
    none: list[tuple[str, object]] = [("none shown yet", None)]
    fill(box, items or none, box.currentData())


def chosen_layer(box: QComboBox, viewer: Any) -> Any | None:
    """Return the layer whose name is chosen; None if it is gone, or none is."""
    name = box.currentData()
    return next((one for one in viewer.layers if one.name == name), None)
