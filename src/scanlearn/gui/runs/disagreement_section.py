"""Where two runs find something else: on a shown scan, or over a cohort as a list."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

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
from scanlearn.gui.runs.disagreement_layers import pair_layers
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.viewer.cohort_scans import read_source
from scanlearn.gui.viewer.layers import LayerData, grid_of, origin_of
from scanlearn.gui.viewer.orientation import show_orientation
from scanlearn.gui.viewer.scan_choice import chosen_layer, offer_scans
from scanlearn.tasks.registry import all_tasks

_ABOUT = (
    "Both predict; where they differ becomes a layer. Over the cohort, the scans they "
    "differ on most come first: open one, then show it."
)


class DisagreementSection(QWidget):
    """A part of the comparison of two runs, for tasks that predict label maps."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.scans = combo("Scan on which both predict")
        self.scan_button = button(
            "Show on this scan", self.compare_scan, "Both predict in the background"
        )
        self.cohort_button = button(
            "On which scans do they differ?",
            self.compare_cohort,
            "Both predict on every scan of the cohort, in the background",
        )
        self.job = JobRow()
        self.notice = Notice()
        self.list = QListWidget()
        self.list.setMinimumHeight(110)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.open_button = button("Open", self.open_scan, "Shows the chosen scan")
        self._runs: tuple[RunRow, RunRow] | None = None
        self._target: Any = None
        self._folder = scratch_folder(self, "disagree")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("Where they disagree"),
            hint(_ABOUT),
            labelled("Scan", self.scans),
            self.scan_button,
            self.cohort_button,
            self.job,
            self.notice,
            self.list,
            self.open_button,
        ):
            layout.addWidget(widget)
        self.job.finished.connect(self._done)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._refresh)
        self.scans.currentIndexChanged.connect(self._refresh)
        self.list.itemSelectionChanged.connect(self._refresh)
        self.list.itemDoubleClicked.connect(lambda _item: self.open_scan())
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed):
            connect_while_alive(self, emitter, self._show_scans)
        self._show_scans()

    def show_runs(self, runs: tuple[RunRow, RunRow] | None) -> None:
        """Compare these; what was found of others goes."""
        before = self._runs and [run.path for run in self._runs]
        if (runs and [run.path for run in runs]) != before:
            self.job.cancel()
            self.notice.clear()
            self._list([])
        self._runs = runs
        self.setVisible(runs is not None and all(map(_predicts_maps, runs)))
        self._refresh()

    def compare_scan(self) -> None:
        """Predict with both on the chosen scan."""
        layer = self._layer()
        origin = origin_of(layer)
        assert origin is not None
        self._target = (origin, grid_of(layer))
        self._start(str(origin.source), f"Both predict on {origin.patient}")

    def compare_cohort(self) -> None:
        """Predict with both on every scan of the cohort of the first."""
        assert self._runs is not None
        self._target = None
        self._start(str(self._runs[0].cohorts[0]), "Both predict on the cohort")

    def open_scan(self) -> None:
        """Show the source of the chosen scan."""
        chosen = self.list.currentItem()
        if chosen is None or self._runs is None:
            return
        key = str(chosen.data(Qt.ItemDataRole.UserRole))
        cohort = self._runs[0].cohorts[0]
        self.notice.clear()

        def work(_report: Report) -> LayerData:
            return read_source(cohort, key)

        in_background(self, work, done=self._opened, failed=self._failed)

    def _start(self, source: str, title: str) -> None:
        assert self._runs is not None
        self.notice.clear()
        self._out = Path(tempfile.mkdtemp(dir=self._folder))
        one, other = self._runs
        arguments = ["disagree", str(one.path), str(other.path), source]
        self.job.start([*arguments, "--out", str(self._out)], title)
        self._refresh()

    def _done(self, _events: list[Any]) -> None:
        out, target = self._out, self._target
        assert self._runs is not None
        names = (self._runs[0].title, self._runs[1].title)

        def work(_report: Report) -> list[Any]:
            if target is None:
                return list(json.loads((out / "disagreement.json").read_text("utf-8")))
            origin, grid = target
            return list(pair_layers(out, origin, grid, names))

        done = self._list if target is None else self._add
        in_background(self, work, done=done, failed=self._failed)
        self._refresh()

    def _add(self, layers: list[LayerData]) -> None:
        for voxels, settings, _kind in layers:
            self.viewer.add_labels(voxels, **settings)

    def _list(self, found: list[dict[str, Any]]) -> None:
        self.list.clear()
        for one in found:
            classes = ", ".join(f"{n} {d:.2f}" for n, d in one["classes"].items())
            text = f"{one['value']:.0%} · {one['scan']} · Dice {classes or '–'}"
            item = QListWidgetItem(text)
            item.setToolTip(text)
            item.setData(Qt.ItemDataRole.UserRole, one["scan"])
            self.list.addItem(item)
        if found:
            self.list.setCurrentRow(0)
        for widget in (self.list, self.open_button):
            widget.setVisible(bool(found))
        self._refresh()

    def _opened(self, layer: LayerData) -> None:
        data, settings, _kind = layer
        added = self.viewer.add_image(data, **settings)
        show_orientation(self.viewer)
        self.scans.setCurrentIndex(self.scans.findData(added.name))

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._refresh()

    def _layer(self) -> Any | None:
        return chosen_layer(self.scans, self.viewer)

    def _show_scans(self) -> None:
        offer_scans(self.scans, self.viewer)
        self._refresh()

    def _refresh(self, *_: object) -> None:
        busy = "Both are predicting" if self.job.busy else ""
        models = all(run.has_model for run in self._runs or ())
        missing = "" if models else "One of them has saved no model yet"
        no_scan = "" if self.scans.currentData() else "Add a scan to the viewer first"
        gate(self.scan_button, busy or missing or no_scan)
        gate(self.cohort_button, busy or missing)
        chosen = self.list.currentItem() is not None
        gate(self.open_button, "" if chosen else "Choose a scan of the list first")


def _predicts_maps(run: RunRow) -> bool:
    task = all_tasks().get(run.method)
    return task is not None and task.label_maps
