"""The button that draws an atlas and its landmarks on the scan that is shown."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.kit.background import (
    Failure,
    Report,
    connect_while_alive,
    in_background,
)
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.scratch_folder import scratch_folder
from scanlearn.gui.kit.widgets import button, gate, hint
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.viewer.atlas_layers import Located, read_located
from scanlearn.gui.viewer.layers import Origin, grid_of, origin_of
from scanlearn.gui.viewer.new_layers import shown_scan
from scanlearn.pretraining.registry import all_methods
from scanlearn.scans.geometry import Grid

#: Width of the atlas's outline, in voxels of the scan.
_OUTLINE_VOXELS = 2


class LocationsSection(QWidget):
    """Show locations, the job that finds them, and how well they fit."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.show_button = button(
            "Show locations",
            self.show_locations,
            "Draws the atlas and its landmarks on the scan that is shown",
        )
        self.job = JobRow()
        self.sentence = hint()
        self.sentence.setVisible(False)
        self.notice = Notice()
        self._atlas: list[str] = []
        self._no_atlas = "Choose an atlas first"
        self._target: tuple[Origin, Grid] | None = None
        self._folder = scratch_folder(self, "locations")
        self._out = self._folder
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.show_button, self.job, self.sentence, self.notice):
            layout.addWidget(widget)
        self.job.finished.connect(self._placed)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self.refresh)
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed):
            connect_while_alive(self, emitter, self.refresh)
        self.refresh()

    def choose_run(self, run: RunRow | None) -> None:
        """Take the run whose locations are to be shown."""
        if run is None or run.kind != "pretrain":
            self.choose([], "Select a pre-training: its encoder has an atlas")
        elif not getattr(all_methods().get(run.method), "atlas", False):
            self.choose([], "This run learned without an atlas")
        elif not (run.path / "checkpoints" / "encoder.json").exists():
            self.choose([], "The run has saved nothing yet")
        else:
            self.choose([str(run.path)])

    def choose(self, atlas: list[str], missing: str = "") -> None:
        """Take the arguments that name an atlas, or why there is none yet."""
        self._atlas, self._no_atlas = atlas, missing
        self.refresh()

    def show_locations(self) -> None:
        """Place the atlas in the shown scan, in a process of its own."""
        layer = shown_scan(self.viewer)
        origin = origin_of(layer)
        assert origin is not None
        self._target = (origin, grid_of(layer))
        self.notice.clear()
        self.sentence.setVisible(False)
        self._out = Path(tempfile.mkdtemp(dir=self._folder))
        named, *settings = self._atlas
        arguments = ["landmarks", named, str(origin.source), *settings]
        arguments += ["--out", str(self._out)]
        arguments += origin.options()
        self.job.start(arguments, f"Placing the atlas in {origin.patient}")
        self.refresh()

    def refresh(self) -> None:
        """Say on the button why it cannot be pressed, if it cannot."""
        gate(self.show_button, self._missing())

    def _missing(self) -> str:
        if self._no_atlas:
            return self._no_atlas
        layer = shown_scan(self.viewer)
        if layer is None or origin_of(layer) is None:
            return "Add a scan to the viewer first, under Scans"
        return "The atlas is being placed" if self.job.busy else ""

    def _placed(self, _events: list[Any]) -> None:
        assert self._target is not None
        folder, (origin, shown) = self._out, self._target

        def work(_report: Report) -> Located:
            return read_located(folder, origin, shown)

        in_background(self, work, done=self._draw, failed=self._failed)
        self.refresh()

    def _draw(self, found: Located) -> None:
        for data, settings, kind in found.layers:
            if settings["name"] in self.viewer.layers:
                self.viewer.layers.remove(settings["name"])
            layer = getattr(self.viewer, f"add_{kind}")(data, **settings)
            if kind == "labels":  # an outline: the scan stays visible inside
                layer.contour = _OUTLINE_VOXELS
        self.sentence.setText(found.sentence)
        self.sentence.setVisible(True)

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self.refresh()
