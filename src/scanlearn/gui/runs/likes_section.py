"""What an encoder learned, seen by eye: a click on tissue lights up its likes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from scanlearn.cohort.labels.known_slices import KnownSlices
from scanlearn.errors import ScanlearnError
from scanlearn.gui.kit.background import (
    Failure,
    Report,
    connect_while_alive,
    in_background,
)
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.scratch_folder import scratch_folder
from scanlearn.gui.kit.widgets import button, combo, gate, heading, hint, labelled
from scanlearn.gui.runs.likes_layers import likes_layer, lit_layer, tissue_points
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.viewer.layers import KNOWN, LayerData, Origin, grid_of, origin_of
from scanlearn.gui.viewer.scan_choice import chosen_layer, offer_scans
from scanlearn.prediction.representation.likeness import (
    ENDING,
    FeatureMap,
    Vectors,
    has_dense_map,
    read_feature_map,
)
from scanlearn.scans.geometry import world_to_patient

_ABOUT = (
    "Read the features of one scan or several, then click on tissue: what the encoder "
    "finds alike lights up in all of them. No labels are needed."
)

#: Share of the encoded tissue that is lit at first.
_LIT_AT_FIRST = 0.05


@dataclass(eq=False)
class Encoded:
    """A scan whose features are known, and the layer that lights up over it."""

    origin: Origin
    features: FeatureMap
    layer: Any


class LikesSection(QWidget):
    """A section of the Runs dock for runs with an encoder of patches."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.scans = combo("Scan to click in")
        self.read_button = button(
            "Read features", self.read, "Encodes the scan, once, in the background"
        )
        self.click_button = button(
            "Click on tissue", self.mark, "A points layer: click on the tissue"
        )
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setDecimals(3)
        self.slider.setToolTip("Least cosine of the features of what is lit")
        self.label_button = button(
            "Make it a label",
            self.make_label,
            "What is lit becomes class 1 of a label layer; the slice in view counts as "
            "truth, others once they are touched or ticked",
        )
        self.job = JobRow()
        self.notice = Notice()
        self.encoded: list[Encoded] = []
        self.points: Any = None
        self._run: RunRow | None = None
        self._folder = scratch_folder(self, "likes")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("What it learned"),
            hint(_ABOUT),
            labelled("Scan", self.scans),
            self.read_button,
            self.job,
            self.click_button,
            labelled("How like", self.slider),
            self.label_button,
            self.notice,
        ):
            layout.addWidget(widget)
        self.job.finished.connect(self._encoded)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._refresh)
        self.slider.valueChanged.connect(self._light)
        self.scans.currentIndexChanged.connect(self._refresh)
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed):
            connect_while_alive(self, emitter, self._show_scans)
        self._show_scans()
        self.show_run(None)

    def show_run(self, run: RunRow | None) -> None:
        """Look with this run's encoder; the section hides for runs without one."""
        if (run and run.path) != (self._run and self._run.path):
            self.job.cancel()
            self.encoded.clear()  # features of another encoder are others
            self.notice.clear()
        self._run = run
        self.setVisible(run is not None and has_dense_map(run.path))
        self._refresh()

    def read(self) -> None:
        """Encode the chosen scan in a process of its own."""
        layer, run = self._scan(), self._run
        origin = origin_of(layer)
        assert origin is not None
        assert run is not None
        self.notice.clear()
        self._target = origin
        self._out = Path(tempfile.mkdtemp(dir=self._folder))
        arguments = ["features", str(run.path), str(origin.source)]
        arguments += [*origin.options(), "--out", str(self._out)]
        self.job.start(arguments, f"Encoding {origin.patient}")
        self._refresh()

    def mark(self) -> None:
        """Add a points layer to click into, or go on with the one there is."""
        if self.points is None or self.points not in self.viewer.layers:
            self.points = self.viewer.add_points(name="alike", **tissue_points())
            connect_while_alive(self, self.points.events.data, self._clicked)
        self.viewer.layers.selection.active = self.points
        self.points.mode = "add"

    def make_label(self) -> None:
        """Lay what is lit over the chosen scan as labels to be edited."""
        mine, scan = self._chosen(), self._scan()
        assert mine is not None
        shown, least = grid_of(scan), self.slider.value()
        likeness = np.asarray(mine.layer.data)

        def work(_report: Report) -> LayerData:
            return lit_layer(likeness, mine.features.grid, shown, mine.origin, least)

        in_background(self, work, done=self._labelled, failed=self._failed)

    def _encoded(self, _events: list[Any]) -> None:
        (path,) = self._out.glob(f"*{ENDING}")

        def work(_report: Report) -> FeatureMap:
            return read_feature_map(path)

        in_background(self, work, done=self._take, failed=self._failed)

    def _take(self, features: FeatureMap) -> None:
        voxels, settings, _ = likes_layer(features, self._target)
        layer = self.viewer.add_image(voxels, **settings)
        self.encoded.append(Encoded(self._target, features, layer))
        self.mark()
        self._refresh()

    def _clicked(self) -> None:
        """Light up what is like the last point."""
        mine = self._chosen()
        if mine is None or not len(self.points.data):
            return
        world = self.points.data_to_world(self.points.data[-1])
        try:
            vector = mine.features.at(world_to_patient(world))
        except ScanlearnError as error:
            self.notice.show_error(error)
            return
        self.notice.clear()
        self._compare(vector)

    def _compare(self, vector: Vectors) -> None:
        for one in self._shown():
            one.layer.data = one.features.likeness(vector)
        mine = self._chosen()
        assert mine is not None
        known = mine.features.vectors @ vector
        self.slider.blockSignals(True)
        self.slider.setRange(float(known.min()), float(known.max()))
        self.slider.setValue(float(np.quantile(known, 1 - _LIT_AT_FIRST)))
        self.slider.blockSignals(False)
        self._light()
        self._refresh()

    def _light(self, *_: object) -> None:
        """Show what is at least so like; the more, the brighter."""
        least, most = self.slider.value(), max(self.slider.maximum(), 1e-3)
        for one in self._shown():
            # A range without a width is none: what equals the top is lit, too.
            one.layer.contrast_limits = (min(least, most - 1e-3), most)
            one.layer.visible = True

    def _labelled(self, layer: LayerData) -> None:
        voxels, settings, _ = layer
        added = self.viewer.add_labels(voxels, **settings)
        added.metadata[KNOWN] = self._in_view(added)
        self.viewer.layers.selection.active = added
        for one in self._shown():
            one.layer.visible = False

    def _in_view(self, layer: Labels) -> KnownSlices:
        """Return that the slice in view counts: it is what was judged."""
        known, dims = KnownSlices.none(layer.data.shape), self.viewer.dims
        if dims.ndisplay != 2:
            return known
        axis = int(dims.order[0])
        index = round(float(layer.world_to_data(dims.point)[axis]))
        inside = 0 <= index < layer.data.shape[axis]
        return known.marked(axis, [index]) if inside else known

    def _shown(self) -> list[Encoded]:
        """Return the encoded scans whose layer the user has not removed."""
        return [one for one in self.encoded if one.layer in self.viewer.layers]

    def _chosen(self) -> Encoded | None:
        scan = self._scan()
        origin = None if scan is None else origin_of(scan)
        if origin is None:
            return None
        mine = [one for one in self._shown() if one.origin.same_scan(origin)]
        return mine[0] if mine else None

    def _scan(self) -> Any | None:
        return chosen_layer(self.scans, self.viewer)

    def _show_scans(self) -> None:
        offer_scans(self.scans, self.viewer)
        self._refresh()

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._refresh()

    def _refresh(self, *_: object) -> None:
        mine = self._chosen()
        missing = "" if self.scans.currentData() else "Add a scan to the viewer first"
        busy = "Features are being read" if self.job.busy else ""
        there = "The features of this scan are read" if mine is not None else ""
        gate(self.read_button, busy or missing or there)
        unread = "" if mine is not None else "Read the features of the scan first"
        gate(self.click_button, unread)
        lit = mine is not None and mine.layer.visible
        gate(self.label_button, unread or ("" if lit else "Click on tissue first"))
        self.slider.setEnabled(lit)
