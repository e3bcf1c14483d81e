"""Findings that the model missed, put where somebody clicks or points."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from scanlearn.anatomy.lung_places import LungPlace, lung_places
from scanlearn.prediction.lungs_file import read_lungs
from scanlearn.prediction.review import Judged, kind_of, slices_of
from scanlearn.prediction.summary import Prediction
from scanlearn.scans.geometry import world_to_patient
from scanlearn.scans.tables.finding_table import BoxFinding, Finding

#: A click without a drag gives this: a diameter, or a share of an image's long side.
_USUAL_MM = 10.0
_USUAL_SHARE = 1 / 10

_WAITING = "Click its middle in the scan and drag outwards for its size"


class AddedFindings(QObject):
    """Waits for a place, and says what lies there.

    A drag from the middle outwards tells the size; both are drawn by the one who
    listens.
    """

    placed = Signal(object)
    changed = Signal()

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.waiting = ""
        self._prediction: Prediction | None = None

    def show_prediction(self, prediction: Prediction) -> None:
        """Add to the findings of this prediction."""
        self._prediction = prediction
        self._end()

    def wait(self) -> None:
        """Take the next click in the scan."""
        if self.waiting or self._prediction is None:
            return
        self.waiting = _WAITING
        # A drag tells the size meanwhile, not where the view goes.
        self.viewer.scene.camera.mouse_pan = False
        self.viewer.mouse_drag_callbacks.append(self._drag)
        self.changed.emit()

    def place_here(self) -> None:
        """Put one under the mouse; wait for a click where it is not over the scan."""
        if self.viewer.mouse_over_canvas:
            place = np.array(self.viewer.cursor.position[-3:], dtype=float)
            self._place(place, None)
        else:
            self.wait()

    def _drag(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        start = np.array(event.position[-3:], dtype=float)
        yield
        while event.type == "mouse_move":
            yield
        end = np.array(event.position[-3:], dtype=float)
        self._end()
        self._place(start, end)

    def _end(self) -> None:
        if self.waiting:
            self.waiting = ""
            self.viewer.scene.camera.mouse_pan = True
            self.viewer.mouse_drag_callbacks.remove(self._drag)
        self.changed.emit()

    def _place(
        self, start: NDArray[np.float64], end: NDArray[np.float64] | None
    ) -> None:
        """Tell of a finding at a place of napari's world, as large as a drag."""
        prediction = self._prediction
        assert prediction is not None
        name = str(prediction.facts.get("finding", "finding"))
        middle = world_to_patient(start)
        reach = np.zeros(3) if end is None else np.abs(world_to_patient(end) - middle)
        if kind_of(prediction) is BoxFinding:
            self.placed.emit(Judged(_box(prediction, middle, reach, name)))
            return
        drawn = 2 * float(np.linalg.norm(reach))
        diameter = drawn if drawn > 1 else _USUAL_MM
        x, y, z = middle.tolist()
        found = Finding(1.0, (x, y, z), diameter, name)
        at = slices_of(middle, prediction.grid)[0]
        self.placed.emit(Judged(found, "", at, _place_in_lungs(prediction, middle)))


def _box(
    prediction: Prediction,
    middle: NDArray[np.float64],
    reach: NDArray[np.float64],
    name: str,
) -> BoxFinding:
    grid = prediction.grid
    _, row, column = grid.to_index(middle).tolist()
    spans = np.abs(grid.to_index(middle + reach) - grid.to_index(middle))[1:]
    usual = max(grid.shape) * _USUAL_SHARE / 2
    down, right = (spans if spans.min() > 1 else np.array([usual, usual])).tolist()
    return BoxFinding(1.0, (column - right, row - down, 2 * right, 2 * down), name)


def _place_in_lungs(prediction: Prediction, point: NDArray[np.float64]) -> LungPlace:
    name = prediction.facts.get("lung_mask")
    if not name:
        return LungPlace()
    try:
        mask, grid = read_lungs(prediction.folder / name)
    except (OSError, ValueError, KeyError):
        return LungPlace()  # moved away: the place is a comfort, the finding counts
    return lung_places(point, mask, grid)[0]
