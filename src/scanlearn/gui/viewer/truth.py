"""What counts as truth of a label layer: slices that were touched or ticked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import ReferenceType, ref

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from scanlearn.cohort.labels.known_slices import KnownSlices
from scanlearn.gui.kit.background import connect_while_alive
from scanlearn.gui.viewer.layers import KNOWN, origin_of

#: Ticks the slice in view, while a label layer is selected.
TICK_KEY = "T"


def known_of(layer: Any) -> KnownSlices | None:
    """Return what counts of a layer; None where its labels themselves tell."""
    if KNOWN not in layer.metadata:
        return None
    known = layer.metadata[KNOWN]
    return known if known is not None else KnownSlices.none(layer.data.shape)


class TruthTracker(QObject):
    """Notes which slices of the viewer's label layers are touched.

    Layers of masks that somebody made elsewhere are left alone: they are truth as they
    are.
    """

    #: Labels or their truth changed; carries the layer.
    changed = Signal(object)
    #: A stroke was made: the layer, and the changes as napari's history has them.
    painted = Signal(object, object)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self._followed: list[Any] = []
        self._place: Any = None
        self._unseen = False
        connect_while_alive(self, viewer.layers.events.inserted, self._follow_new)
        connect_while_alive(self, viewer.layers.events.removed, self._forget_gone)
        self._follow_new()

    def slice_in_view(self, layer: Any) -> tuple[int, int] | None:
        """Return axis and index of the slice of a layer in view; None in 3D."""
        dims = self.viewer.dims
        if dims.ndisplay != 2 or dims.ndim != 3:
            return None
        axis = int(dims.order[0])
        index = round(float(layer.world_to_data(dims.point)[axis]))
        return (axis, index) if 0 <= index < layer.data.shape[axis] else None

    def is_ticked(self, layer: Any) -> bool:
        """Whether the slice in view counts."""
        place, known = self.slice_in_view(layer), known_of(layer)
        return place is not None and known is not None and known.holds(*place)

    def tick(self, layer: Any, *, right: bool) -> None:
        """Count the slice in view as truth, or no longer."""
        place, known = self.slice_in_view(layer), known_of(layer)
        if place is not None and known is not None:
            self.set_known(layer, known.marked(place[0], [place[1]], known=right))

    def set_whole(self, layer: Any, whole: bool) -> None:
        """Count all of a layer as truth, or only what was touched or ticked."""
        known = known_of(layer)
        if known is not None and known.whole != whole:
            self.set_known(layer, replace(known, whole=whole))

    def set_known(self, layer: Any, known: KnownSlices) -> None:
        """Say what counts of a layer."""
        layer.metadata[KNOWN] = known
        self.changed.emit(layer)

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Let layers be changed without taking the changed slices as looked at."""
        self._unseen = True
        try:
            yield
        finally:
            self._unseen = False

    def _follow_new(self) -> None:
        for layer in self.viewer.layers:
            ours = isinstance(layer, Labels) and origin_of(layer) is not None
            if ours and layer.ndim == 3 and layer not in self._followed:
                self._follow(layer)

    def _follow(self, layer: Any) -> None:
        self._followed.append(layer)
        layer.events.paint.connect(self._painted)
        layer.events.set_data.connect(self._drawn_anew)
        # The layer outlives the dock, and shall not hold it.
        layer.bind_key(TICK_KEY, partial(_turn, ref(self)), overwrite=True)

    def _forget_gone(self) -> None:
        self._followed = [one for one in self._followed if one in self.viewer.layers]

    def _painted(self, event: Any) -> None:
        layer = event.source
        if self._unseen:
            return  # who changed it says what counts
        self.painted.emit(layer, event.value)
        known = known_of(layer)
        if known is None:
            self.changed.emit(layer)
            return
        place = self.slice_in_view(layer)
        axis = place[0] if place is not None else 0
        slices = _touched(event.value, axis)
        self.set_known(layer, known.marked(axis, slices))

    def _drawn_anew(self, event: Any) -> None:
        """Take a layer that is drawn anew in place as changed: undo says no more."""
        dims, before = self.viewer.dims, self._place
        self._place = (tuple(dims.point), tuple(dims.order), dims.ndisplay)
        known = event.source.metadata.get(KNOWN)
        if self._place == before and known is not None and not known.nothing:
            self.changed.emit(event.source)


def _touched(stroke: list[Any], axis: int) -> list[int]:
    """Return the slices across an axis that a stroke of napari's history changed."""
    found: set[int] = set()
    for atom in stroke:
        box = getattr(atom, "slice_key", None)
        if box is not None:
            found.update(range(box[axis].start, box[axis].stop))
        else:
            found.update(np.unique(atom[0][axis]).tolist())
    return sorted(found)


def _turn(weak: ReferenceType[TruthTracker], layer: Any) -> None:
    tracker = weak()
    if tracker is not None:
        tracker.tick(layer, right=not tracker.is_ticked(layer))
