"""Similar scans: ask with a scan that is shown, list what is found, open it beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Points
from numpy.typing import NDArray
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from scanlearn.gui.kit.background import Report, connect_while_alive, in_background
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.scratch_folder import scratch_folder
from scanlearn.gui.kit.widgets import (
    button,
    combo,
    fill,
    gate,
    heading,
    hint,
    labelled,
    row,
)
from scanlearn.gui.runs.similar_scans import FoundScan, layer_beside, read_found
from scanlearn.gui.scans.scan_list import icon
from scanlearn.gui.scans.thumbnails import SIZE
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.gui.viewer.scan_choice import chosen_layer, offer_scans
from scanlearn.gui.viewer.world_points import in_voxels, world_points
from scanlearn.scans.geometry import world_to_patient

_ABOUT = (
    "Which scans of the training's cohort are most like one, for this encoder; or the "
    "same place in other patients, marked with a point."
)


#: Diameter of a mark, and twice how far from it slices show it, ever smaller.
_MARK_MM, _SEEN_MM = 6.0, 26.0


class SimilarSection(QWidget):
    """A section of the Runs dock for a pre-trained run."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.scans = combo("Scan to compare with")
        self.places = combo("The whole scan, or the last point of a points layer")
        self.mark_button = button(
            "Mark", self.mark, "A points layer: click on the place in the scan"
        )
        self.search_button = button(
            "Similar scans", self.search, "Searches the cohort in the background"
        )
        self.job = JobRow()
        self.notice = Notice()
        self.list = QListWidget()
        self.list.setIconSize(QSize(SIZE, SIZE))
        self.list.setMinimumHeight(220)
        self.open_button = button(
            "Open beside",
            self.open_beside,
            "Shows the chosen scan in a view of its own",
        )
        self.found: list[FoundScan] = []
        self._run: RunRow | None = None
        self._asked: NDArray[np.float64] | None = None
        self._marked = False
        self._folder = scratch_folder(self, "similar")
        self._lay_out()
        self.job.finished.connect(self._searched)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._refresh)
        self.places.currentIndexChanged.connect(self._refresh)
        self.list.itemSelectionChanged.connect(self._refresh)
        self.list.itemDoubleClicked.connect(lambda _item: self.open_beside())
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed):
            connect_while_alive(self, emitter, self._show_layers)
        self._show_layers()
        self.show_run(None)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("Similar scans"),
            hint(_ABOUT),
            labelled("Scan", self.scans),
            labelled("Place", row(self.places, self.mark_button, stretch=0)),
            self.search_button,
            self.job,
            self.notice,
            self.list,
            self.open_button,
        ):
            layout.addWidget(widget)

    def show_run(self, run: RunRow | None) -> None:
        """Search with this run; the section hides for runs without an encoder."""
        fits = run is not None and run.kind == "pretrain" and run.has_model
        if run is None or self._run is None or run.path != self._run.path:
            self._list([])
        self._run = run
        self.setVisible(fits)
        self._refresh()

    def mark(self) -> None:
        """Add a points layer to click the place into, and choose it."""
        layer = self.viewer.add_points(name="place", **_mark())
        layer.mode = "add"
        connect_while_alive(self, layer.events.data, self._refresh)
        self.places.setCurrentIndex(self.places.findData(layer.name))

    def search(self) -> None:
        """Search in a process of its own."""
        layer = chosen_layer(self.scans, self.viewer)
        run, cohort = self._run, self._searched_cohort()
        origin = origin_of(layer)
        assert origin is not None
        assert run is not None
        assert cohort is not None
        self.notice.clear()
        self._list([])
        self._cohort = cohort
        self._out = self._folder / "hits.json"
        arguments = ["search", str(run.path), str(self._cohort)]
        arguments += ["--like", str(origin.source), "--out", str(self._out)]
        arguments += origin.options()
        self._asked = grid_of(layer).centre
        points = chosen_layer(self.places, self.viewer)
        self._marked = points is not None
        if points is not None:
            self._asked = world_to_patient(points.data_to_world(points.data[-1]))
            arguments.append("--at=" + ",".join(f"{mm:.3f}" for mm in self._asked))
        self.job.start(arguments, "Searching for similar scans")
        self._refresh()

    def open_beside(self) -> None:
        """Show the chosen scan beside the one asked for, at the same place."""
        found, there = self.found[self.list.currentRow()], self._asked
        assert there is not None

        def work(_report: Report) -> Any:
            return layer_beside(found, there)

        in_background(self, work, done=self._opened, failed=self._failed)

    def _opened(self, layer: Any) -> None:
        voxels, settings = layer
        self.viewer.add_image(voxels, **settings)
        grid = self.viewer.grid
        grid.shape, grid.stride = (1, -1), 1
        assert self._asked is not None
        if self._marked:
            # Each scan shares its part of the view with the mark of its place.
            there = in_voxels(self._asked[None, ::-1], _SEEN_MM)
            self.viewer.add_points(there, name=settings["name"] + " place", **_mark())
            grid.stride = 2
        grid.enabled = True
        self.viewer.dims.set_point(0, float(self._asked[2]))

    def _searched(self, _events: list[Any]) -> None:
        out, cohort = self._out, self._cohort

        def work(_report: Report) -> list[FoundScan]:
            return read_found(out, cohort)

        in_background(self, work, done=self._list, failed=self._failed)
        self._refresh()

    def _list(self, found: list[FoundScan]) -> None:
        self.found = found
        self.list.clear()
        for one in found:
            self.list.addItem(QListWidgetItem(icon(one.picture), one.text))
        if found:
            self.list.setCurrentRow(0)
        for widget in (self.list, self.open_button):
            widget.setVisible(bool(found))
        self._refresh()

    def _failed(self, failure: Any) -> None:
        self.notice.show_failure(failure)
        self._refresh()

    def _searched_cohort(self) -> Path | None:
        """Return the training's cohort; of an imported run, that of the docks."""
        if self._run is not None and self._run.cohorts:
            return self._run.cohorts[0]
        return shared_state().cohort

    def _show_layers(self) -> None:
        offer_scans(self.scans, self.viewer)
        layers = reversed(self.viewer.layers)
        marked = [one.name for one in layers if isinstance(one, Points)]
        places: list[tuple[str, object]] = [("the whole scan", None)]
        places += [(f"last point of {name}", name) for name in marked]
        fill(self.places, places, self.places.currentData())
        self._refresh()

    def _refresh(self, *_changed: object) -> None:
        points = chosen_layer(self.places, self.viewer)
        missing = ""
        if self.scans.currentData() is None:
            missing = "Add a scan to the viewer first"
        elif points is not None and (points.ndim != 3 or not len(points.data)):
            missing = "Set a point in the points layer first"
        elif self._searched_cohort() is None:
            missing = "Choose a cohort under Pre-train first"
        elif self.job.busy:
            missing = "A search is going on"
        gate(self.search_button, missing)
        chosen = 0 <= self.list.currentRow() < len(self.found)
        gate(self.open_button, "" if chosen else "Choose a scan of the list first")


def _mark() -> dict[str, Any]:
    return {
        **world_points(_SEEN_MM),
        "projection_mode": "rescale_linear",
        "size": _MARK_MM / _SEEN_MM,
        "face_color": "orange",
    }
