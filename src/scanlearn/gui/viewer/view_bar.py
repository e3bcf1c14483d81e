"""Window presets and standard views of the scan that is shown."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from qtpy.QtWidgets import QMainWindow, QVBoxLayout, QWidget

from scanlearn.gui.kit.background import connect_while_alive
from scanlearn.gui.kit.widgets import button, combo, fill, row
from scanlearn.gui.viewer.four_views import FourViews, four_views_of
from scanlearn.gui.viewer.layers import is_ct, set_contrast
from scanlearn.gui.viewer.orientation import VIEWS, show_view
from scanlearn.scans.windows import WINDOWS

_VIEWS_WIDTH = 88

_FOUR = (
    "Axial, coronal, sagittal and 3D beside each other. A click in one, or Shift and "
    "moving the mouse in the first, takes all to that place."
)


class ViewBar(QWidget):
    """A list of windows (CT only) and one of views; both say what is on."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._told = False
        self._limits: tuple[float, float] | None = None
        self.windows = combo(
            "Brightness window of the CT scans shown (centre, width in HU): also the "
            "keys Alt+1 to Alt+8, and dragging with the right mouse button"
        )
        self.views = combo(
            "Which way to look; the head is up, the patient's left is right"
        )
        self.layout_button = button("2 × 2", self.switch_layout, _FOUR)
        self.layout_button.setCheckable(True)
        self.views.setMaximumWidth(_VIEWS_WIDTH)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(self.windows, self.views, self.layout_button, stretch=0))
        self.windows.currentIndexChanged.connect(self._window_chosen)
        self.views.currentIndexChanged.connect(self._view_chosen)
        # napari's list of layers passes on what happens to each of them.
        connect_while_alive(self, viewer.layers.events, self._show_window)
        connect_while_alive(
            self, viewer.layers.selection.events.active, self._show_window
        )
        for emitter in (viewer.dims.events.order, viewer.dims.events.ndisplay):
            connect_while_alive(self, emitter, self._show_view)
        for number, name in enumerate(WINDOWS, start=1):
            preset = partial(set_window, viewer, *WINDOWS[name])
            viewer.bind_key(f"Alt-{number}", lambda _v, p=preset: p(), overwrite=True)
        self._show_window()
        self._show_view()

    def switch_layout(self) -> None:
        """Show one view of the scan, or four."""
        window = self.window()
        shown = four_views_of(window)
        if shown is not None:
            shown.end()
        elif isinstance(window, QMainWindow):
            FourViews(self._viewer, window)
        self.layout_button.setChecked(four_views_of(window) is not None)

    def _window_chosen(self) -> None:
        chosen = self.windows.currentData()
        if chosen is not None:
            set_window(self._viewer, *chosen)

    def _view_chosen(self) -> None:
        name = self.views.currentData()
        if name is not None:
            show_view(self._viewer, name)

    def _show_window(self) -> None:
        """Say which window the selected CT has, else the last."""
        layers = self._viewer.layers
        shown = [one for one in (layers.selection.active, *reversed(layers)) if one]
        limits = next((one.contrast_limits for one in shown if is_ct(one)), None)
        limits = None if limits is None else tuple(limits)
        if self._told and limits == self._limits:
            return
        self._told, self._limits = True, limits
        items, chosen = _windows(limits)
        fill(self.windows, items, chosen)

    def _show_view(self) -> None:
        """Say which view is on."""
        dims = self._viewer.dims
        order = tuple(axis - (dims.ndim - 3) for axis in dims.order[-3:])
        names = [name for name, axes in VIEWS.items() if axes == order]
        items: list[tuple[str, object]] = [(name, name) for name in VIEWS]
        if dims.ndisplay == 3:
            items.insert(0, ("3D", None))
            names = []
        elif not names:
            items.insert(0, ("Another view", None))
        fill(self.views, items, names[0] if names else None)


def _windows(
    limits: tuple[float, float] | None,
) -> tuple[list[tuple[str, object]], object]:
    """Return what to offer beside the contrast of a CT, and which of it that is."""
    items: list[tuple[str, object]] = [
        (f"{name} ({centre:g}, {width:g} HU)", (centre, width))
        for name, (centre, width) in WINDOWS.items()
    ]
    if limits is None:
        return [("Window…", None), *items], None
    low, high = limits
    now = ((low + high) / 2, high - low)
    for known in WINDOWS.values():
        if np.allclose(known, now, atol=0.5):
            return items, known
    return [(f"{now[0]:.0f}, {now[1]:.0f} HU", None), *items], None


def set_window(viewer: Any, centre: float, width: float) -> None:
    """Set the brightness of every CT layer."""
    for layer in viewer.layers:
        if is_ct(layer):
            set_contrast(layer, centre - width / 2, centre + width / 2)
