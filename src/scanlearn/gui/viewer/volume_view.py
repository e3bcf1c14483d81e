"""The 3D view of a CT: bones and vessels instead of a white block."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from scanlearn.gui.viewer.layers import is_ct, set_contrast

#: A projection in the lung window is white all over: skin and muscle are above it.
RANGE_3D = (100.0, 800.0)


class VolumeView:
    """Changes the contrast of CT layers in 3D, and back again in 2D."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._flat: WeakKeyDictionary[Any, tuple[float, float]] = WeakKeyDictionary()
        viewer.dims.events.ndisplay.connect(lambda: self.refresh())
        viewer.layers.events.inserted.connect(lambda: self.refresh())

    def refresh(self) -> None:
        """Give every CT layer the contrast of the view that is shown."""
        deep = self._viewer.dims.ndisplay == 3
        for layer in self._viewer.layers:
            if not is_ct(layer):
                continue
            if deep and layer not in self._flat:
                self._flat[layer] = tuple(layer.contrast_limits)
                set_contrast(layer, *RANGE_3D)
            elif not deep and layer in self._flat:
                layer.contrast_limits = self._flat.pop(layer)
