"""Copies of a viewer's layers in another view: the same data, the same looks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QObject, QTimer

#: What a copy takes over at once when it changes; all else comes with a new copy.
_FOLLOWED = (
    "visible",
    "opacity",
    "blending",
    "colormap",
    "contour",
    "contrast_limits_range",
    "contrast_limits",
    "gamma",
    "interpolation2d",
    "show_selected_label",
)

#: Changes of one stroke or one slider are shown together.
_TOGETHER_MILLISECONDS = 60


class LinkedLayers(QObject):
    """Keeps the layers of ``model`` those of ``viewer``.

    Voxels are shared, so that a painted stroke is seen in all views. Views are not
    painted on: a stroke there would not be in the layer's own history.

    Parameters
    ----------
    leave_out
        Attributes that the copies have of their own.
    """

    def __init__(
        self,
        viewer: Any,
        model: Any,
        parent: QObject,
        *,
        leave_out: tuple[str, ...] = (),
    ) -> None:
        super().__init__(parent)
        self._viewer, self._model = viewer, model
        self._names = [name for name in _FOLLOWED if name not in leave_out]
        self._copies: dict[Layer, Layer] = {}
        self._links: list[tuple[Any, Callable[..., None]]] = []
        self._renewed: set[Layer] = set()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_TOGETHER_MILLISECONDS)
        self._soon.timeout.connect(self._renew)
        for emitter in (
            viewer.layers.events.inserted,
            viewer.layers.events.removed,
            viewer.layers.events.reordered,
        ):
            self._link(emitter, lambda: self._soon.start())
        self._renew()

    def end(self) -> None:
        """Let go of the viewer."""
        self._soon.stop()
        for emitter, callback in self._links:
            emitter.disconnect(callback)
        self._links.clear()

    def _link(self, emitter: Any, react: Callable[[], object]) -> None:
        def call(_event: object = None) -> None:
            react()

        emitter.connect(call)
        self._links.append((emitter, call))

    def _renew(self) -> None:
        """Make copies of new and changed layers, in the order of the viewer."""
        layers = [layer for layer in self._viewer.layers if layer.ndim == 3]
        wanted = {
            layer: self._copies.get(layer)
            for layer in layers
            if layer not in self._renewed
        }
        self._renewed.clear()
        kept = set(wanted.values()) - {None}
        for copy in [one for one in self._model.layers if one not in kept]:
            self._model.layers.remove(copy)
        for place, layer in enumerate(layers):
            copy = wanted.get(layer)
            if copy is None:
                copy = self._copy(layer)
                self._model.layers.append(copy)
            self._copies[layer] = copy
            self._model.layers.move(self._model.layers.index(copy), place)
        self._copies = {layer: self._copies[layer] for layer in layers}

    def _copy(self, layer: Layer) -> Layer:
        data, settings, kind = layer.as_layer_data_tuple()
        copy = Layer.create(data, settings, kind)
        if layer in self._copies:
            return copy  # it is followed already
        for name in self._names:
            emitter = getattr(layer.events, name, None)
            if emitter is not None and hasattr(layer, name):
                self._link(emitter, partial(self._follow, layer, name))
        if isinstance(layer, Labels):
            self._link(layer.events.labels_update, partial(self._repaint, layer))
            self._link(layer.events.paint, partial(self._repaint, layer))
        if not isinstance(layer, (Image, Labels)):
            self._link(layer.events.set_data, partial(self._compare, layer))
        self._link(layer.events.data, partial(self._again, layer))
        return copy

    def _follow(self, layer: Layer, name: str) -> None:
        if layer in self._copies:
            setattr(self._copies[layer], name, getattr(layer, name))

    def _repaint(self, layer: Layer) -> None:
        if layer in self._copies:
            self._copies[layer].refresh()

    def _again(self, layer: Layer) -> None:
        self._renewed.add(layer)
        self._soon.start()

    def _compare(self, layer: Layer) -> None:
        """Follow which findings are hidden: napari has no event for it."""
        copy = self._copies.get(layer)
        shown = getattr(layer, "shown", None)
        if copy is None or shown is None or len(shown) != len(copy.shown):
            return
        if (shown != copy.shown).any():
            copy.shown = shown
