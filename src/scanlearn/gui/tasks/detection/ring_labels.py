"""Words beside rings, in a layer of their own: napari's text knows one place for all.

As large on the screen at every zoom, so they are laid out anew when the view changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from scanlearn.gui.kit.background import connect_while_alive
from scanlearn.gui.tasks.detection.label_layout import lay_out
from scanlearn.gui.tasks.detection.score_colours import TEXT
from scanlearn.gui.viewer.world_points import in_voxels, world_points

_POINTS = 9
#: Of a letter and a line of that size, in pixels of the screen.
_LETTER_PX, _LINE_PX = 7.5, 15.0

#: What is laid out anew waits for a pause in zooming.
_PAUSE_MS = 80

#: Flat findings are seen on every slice there is.
_FLAT_MM = 100.0


@dataclass(frozen=True)
class RingLabel:
    """Words beside a ring or a box.

    Parameters
    ----------
    middle
        In napari's world: millimetres to the head, back and left.
    reach
        Half its size along these axes; 0 where it has none.
    text
        The words.
    """

    middle: tuple[float, float, float]
    reach: tuple[float, float, float]
    text: str


class RingLabels:
    """The words beside the findings of one layer; they go when it goes.

    They are laid out anew for as long as their ``owner`` lives.
    """

    def __init__(self, viewer: Any, rings: Any, owner: QWidget) -> None:
        self.viewer, self.rings = viewer, rings
        self._items: tuple[RingLabel, ...] = ()
        active = viewer.layers.selection.active
        self.layer = viewer.add_points(
            np.zeros((0, 3)),
            name=f"{rings.name} · words",
            features={"words": np.zeros(0, dtype=str)},
            text={"string": "{words}", "color": TEXT, "size": _POINTS},
            face_color="transparent",
            border_color="transparent",
            **world_points(),
        )
        viewer.layers.selection.active = active
        self._pause = QTimer(owner)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._lay_out)
        dims, camera = viewer.dims.events, viewer.scene.camera.events
        for emitter in (camera.zoom, dims.order, dims.ndisplay):
            connect_while_alive(owner, emitter, self._pause.start)
        connect_while_alive(owner, rings.events.visible, self._follow)
        connect_while_alive(owner, viewer.layers.events.removed, self._leave)

    def show(self, items: Sequence[RingLabel]) -> None:
        """Show these words and no others."""
        self._items = tuple(items)
        self._lay_out()

    def _lay_out(self) -> None:
        if self.layer not in self.viewer.layers:
            return
        rows, columns = self.viewer.dims.displayed[-2:]
        (depth,) = {0, 1, 2} - {rows, columns}
        middles = np.array([one.middle for one in self._items]).reshape(-1, 3)
        reaches = np.array([one.reach for one in self._items]).reshape(-1, 3)
        pixel = 1 / max(float(self.viewer.scene.camera.zoom), 1e-6)
        letters = [len(one.text) for one in self._items]
        sizes = np.column_stack(
            [np.full(len(letters), _LINE_PX), np.array(letters) * _LETTER_PX]
        )
        seen = np.where(reaches[:, depth] > 0, reaches[:, depth], _FLAT_MM)
        if self.viewer.dims.ndisplay == 3:
            seen = np.full(len(letters), np.inf)
        places = middles.copy()
        places[:, [rows, columns]] = lay_out(
            middles[:, [rows, columns]],
            reaches[:, [rows, columns]],
            sizes * pixel,
            middles[:, [depth]] + seen[:, None] * [-1, 1],
        )
        self.layer.data = in_voxels(places)
        self.layer.size = in_voxels(2 * np.minimum(seen, _FLAT_MM))
        self.layer.features = {"words": [one.text for one in self._items]}

    def _follow(self) -> None:
        if self.layer in self.viewer.layers:
            self.layer.visible = self.rings.visible

    def _leave(self) -> None:
        layers = self.viewer.layers
        if self.rings not in layers and self.layer in layers:
            layers.remove(self.layer)
