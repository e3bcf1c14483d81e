"""Labels of detection: points in volumes or boxes on radiographs, by the cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import Pages
from scanlearn.gui.shared.state import are_radiographs
from scanlearn.gui.tasks.detection.box_panel import BoxPanel
from scanlearn.gui.tasks.detection.mark_panel import MarkedLabels, MarkPanel
from scanlearn.gui.tasks.detection.sphere_panel import SpherePanel
from scanlearn.gui.tasks.shared.label_panel import LabelPanel


class FindingPanel(LabelPanel):
    """Shows the panel that fits the chosen cohort; each keeps what was put into it."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.spheres, self.boxes = SpherePanel(viewer), BoxPanel(viewer)
        #: The panel that is shown.
        self.shown: MarkPanel = self.spheres
        self._pages = Pages()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._pages)
        for panel in (self.spheres, self.boxes):
            panel.changed.connect(self.changed)
            panel.failed.connect(self.failed)
        self._pages.turn_to(self.shown)

    def show_cohort(self, cohort: Path | None) -> None:
        """Turn to the panel of the cohort's scans."""
        flat = cohort is not None and are_radiographs(cohort)
        wanted: MarkPanel = self.boxes if flat else self.spheres
        if wanted is not self.shown:
            self.shown = wanted
            self._pages.turn_to(wanted)

    def new_layer(self) -> None:
        """Add an empty layer over the shown scan, ready to draw on."""
        self.shown.new_layer()

    def take(self, source: Any) -> None:
        """Take a reviewed scan of the chosen cohort's kind."""
        self.shown.take(source)

    def refresh(self) -> None:
        """Look again at the viewer's layers."""
        self.shown.refresh()

    def missing(self) -> str:
        """Say that labels are needed."""
        return self.shown.missing()

    def gathered(self) -> MarkedLabels:
        """Return the labels as they are now."""
        return self.shown.gathered()
