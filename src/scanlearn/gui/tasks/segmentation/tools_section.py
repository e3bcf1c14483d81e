"""Tools beside the brush: fill between, smooth, largest, mirror, copy, a window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QSpinBox, QVBoxLayout, QWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.kit.background import Failure, in_background
from scanlearn.gui.kit.widgets import button, gate, heading, row
from scanlearn.gui.tasks.segmentation.tool_changes import (
    Change,
    Work,
    copied,
    filled,
    largest,
    other_side,
    smooth,
)
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.gui.viewer.new_layers import is_scan
from scanlearn.gui.viewer.truth import TruthTracker, known_of

_TOOLS: tuple[tuple[str, Callable[[Work], Change], str], ...] = (
    ("Fill between", filled, "Slices between those that count get the shape between"),
    ("Smooth", smooth, "Rounds the class off in this slice"),
    (
        "Keep largest",
        largest,
        "Takes all but the largest piece away, in the whole scan",
    ),
    ("Mirror", other_side, "Adds the mirror image in this slice, on the other side"),
    ("Copy to next", copied, "Lays this slice over the next one, and goes there"),
)


class ToolsSection(QWidget):
    """Works on the class that the brush has, in the selected label layer.

    Every tool is undone like a stroke. A slice that a tool changed without being seen
    counts only where it was filled on purpose.

    Parameters
    ----------
    tracker
        Of the layers.
    layer
        ``layer()`` returns the layer to work on.
    """

    failed = Signal(object)

    def __init__(self, tracker: TruthTracker, layer: Callable[[], Any | None]) -> None:
        super().__init__()
        self.tracker = tracker
        self._layer = layer
        self._busy = False
        self.buttons = {
            text: button(text, partial(self._use, tool), tip)
            for text, tool, tip in _TOOLS
        }
        self.within = QCheckBox("Brush within")
        self.within.setToolTip(
            "What you paint stays only where the scan's values lie between these two"
        )
        self.low, self.high = _limit("Lowest value"), _limit("Highest value")
        self.within.toggled.connect(self._begin_window)
        tracker.painted.connect(self._keep_within)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(heading("Tools, for the brush's class"))
        made = list(self.buttons.values())
        layout.addWidget(row(*made[:3]))
        layout.addWidget(row(*made[3:]))
        layout.addWidget(self.within, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(row(self.low, QLabel("to"), self.high, QWidget(), stretch=3))
        self.refresh()

    def refresh(self) -> None:
        """Hide without a layer, and wait for the tool that works."""
        layer = self._layer()
        self.setVisible(layer is not None)
        for one in self.buttons.values():
            gate(one, "A tool is at work" if self._busy else "")

    def _use(self, tool: Callable[[Work], Change]) -> None:
        layer = self._layer()
        place = None if layer is None else self.tracker.slice_in_view(layer)
        known = None if layer is None else known_of(layer)
        if layer is None or place is None or known is None:
            return
        image = self._image_of(layer)
        work = Work(
            np.array(layer.data),
            grid_of(layer),
            known,
            int(layer.selected_label),
            *place,
            image=None if image is None else image.data,
        )
        self._busy = True
        self.refresh()
        in_background(
            self,
            lambda _report: tool(work),
            done=partial(self._apply, tool, layer, work),
            failed=self._fail,
        )

    def _apply(
        self, tool: Callable[[Work], Change], layer: Any, work: Work, change: Change
    ) -> None:
        self._busy = False
        if change.values.size:
            with self.tracker.unseen():
                layer.data_setitem(change.places, change.values)
        known = known_of(layer)
        assert known is not None
        self.tracker.set_known(layer, known.marked(work.axis, change.slices))
        if tool is copied:
            place = np.eye(3)[work.axis] * (work.index + 1)
            world = layer.data_to_world(place)
            self.tracker.viewer.dims.set_point(work.axis, world[work.axis])
        self.refresh()

    def _fail(self, failure: Failure) -> None:
        self._busy = False
        self.refresh()
        error = failure.error
        self.failed.emit(error if isinstance(error, ScanlearnError) else failure)

    def _image_of(self, layer: Any) -> Any | None:
        """Return the scan that a label layer lies on."""
        origin, grid = origin_of(layer), grid_of(layer)
        for one in self.tracker.viewer.layers:
            theirs = origin_of(one) if is_scan(one) else None
            if theirs is None or origin is None or not theirs.same_scan(origin):
                continue
            if grid_of(one).matches(grid):
                return one
        return None

    def _begin_window(self, on: bool) -> None:
        """Begin with the window that is shown."""
        layer = self._layer()
        image = None if layer is None else self._image_of(layer)
        if on and image is not None and self.low.value() == self.high.value():
            low, high = image.contrast_limits
            self.low.setValue(round(low))
            self.high.setValue(round(high))

    def _keep_within(self, layer: Any, stroke: list[Any]) -> None:
        """Restrict a stroke to the window, as soon as napari has written it."""
        image = self._image_of(layer) if self.within.isChecked() else None
        if image is not None:
            QTimer.singleShot(0, partial(self._put_back, layer, image, stroke))

    def _put_back(self, layer: Any, image: Any, stroke: list[Any]) -> None:
        """Put back what a stroke painted where the scan lies outside the window."""
        # The last first: what it covered may be of the same stroke.
        for atom in reversed(stroke):
            box = getattr(atom, "slice_key", None)
            if box is None or atom.new_value == 0:
                continue
            values = image.data[box]
            outside = (values < self.low.value()) | (values > self.high.value())
            before = np.array(layer.data[box])
            if atom.mask is None:
                before[...] = np.reshape(atom.old_values, before.shape)
                mask = np.ones(before.shape, dtype=bool)
            else:
                before[atom.mask] = atom.old_values
                mask = atom.mask
            region = layer.data[box]
            region[mask & outside] = before[mask & outside]
        layer.refresh()


def _limit(tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(-32768, 32767)
    box.setSingleStep(10)
    box.setToolTip(tip)
    box.setAccessibleName(tip)
    return box
