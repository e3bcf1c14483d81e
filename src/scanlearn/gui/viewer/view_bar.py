"""Window presets and standard views of the scan that is shown."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QComboBox, QWidget

from scanlearn.gui.kit.widgets import combo, fill, row
from scanlearn.gui.viewer.layers import is_ct, set_contrast
from scanlearn.gui.viewer.orientation import VIEWS, show_view


def view_bar(viewer: Any) -> tuple[QWidget, QComboBox, QComboBox]:
    """Return a row with a window list (CT only) and a view list."""
    from scanlearn.scans.windows import WINDOWS

    windows = combo("Brightness window of the CT scans shown (centre, width in HU)")
    windows.addItem("Window…", None)
    for name, (centre, width) in WINDOWS.items():
        windows.addItem(f"{name} ({centre:g}, {width:g} HU)", (centre, width))
    views = combo("Which way to look; the head is up, the patient's left is right")
    fill(views, [(name, name) for name in VIEWS], "Axial")

    def window_chosen() -> None:
        chosen = windows.currentData()
        if chosen is not None:
            set_window(viewer, *chosen)

    windows.currentIndexChanged.connect(window_chosen)
    views.currentTextChanged.connect(lambda name: show_view(viewer, name))
    return row(windows, views, stretch=0), windows, views


def set_window(viewer: Any, centre: float, width: float) -> None:
    """Set the brightness of every CT layer."""
    for layer in viewer.layers:
        if is_ct(layer):
            set_contrast(layer, centre - width / 2, centre + width / 2)
