"""Result layers added one by one, so that napari answers in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer

from scanlearn.gui.viewer.layers import LayerData

#: Long enough for napari to draw and to take clicks between two layers.
_BETWEEN_MILLISECONDS = 20


def made(layers: Sequence[LayerData]) -> list[Layer]:
    """Make layers of their data, off the main thread: some read all their voxels."""
    return [Layer.create(*one) for one in layers]


def add_one_by_one(
    owner: QObject,
    viewer: Any,
    layers: Sequence[Layer],
    *,
    told: Callable[[int, int], None],
    done: Callable[[], None],
) -> None:
    """Add layers to a viewer for as long as an owner lives.

    ``told(number, total)`` is called before each, ``done()`` after the last.
    """

    def add(number: int) -> None:
        if number == len(layers):
            done()
            return
        told(number + 1, len(layers))
        later(partial(put, number))

    def put(number: int) -> None:
        viewer.add_layer(layers[number])
        later(partial(add, number + 1))

    def later(step: Callable[[], None]) -> None:
        timer = QTimer(owner)
        timer.setSingleShot(True)
        timer.timeout.connect(step)
        timer.timeout.connect(timer.deleteLater)
        timer.start(_BETWEEN_MILLISECONDS)

    add(0)
