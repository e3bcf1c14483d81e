"""Labels of detection: points with a diameter, a table, a folder of masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDoubleSpinBox, QFileDialog, QLineEdit, QVBoxLayout, QWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.finetuning import scan_key_of
from scanlearn.gui.label_panel import LabelPanel
from scanlearn.gui.labelled_list import LabelledList
from scanlearn.gui.marking import (
    Marked,
    amount_marked,
    chosen_points,
    new_points,
    set_diameter,
    snapshot_points,
)
from scanlearn.gui.painting import shown_scan
from scanlearn.gui.widgets import button, gate, heading, hint, labelled, row

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort

_MARK = (
    "Click the middle of each nodule and set its diameter. Mark all of a scan: what is "
    "not marked is taken for no nodule. Scans without any are welcome: use an empty "
    "layer."
)

_USUAL_MM = 10.0


@dataclass(frozen=True)
class MarkedLabels:
    """Marked layers, or a table or masks where there are none."""

    finding: str
    marked: tuple[Marked, ...]
    table: Path | None

    def changes(self) -> dict[str, Any]:
        """Return what a finding is called."""
        return {"recipe": {"finding": self.finding}}

    def source(self, cohort: Cohort, draft: Path) -> Path:
        """Write marked layers as a run keeps them."""
        from scanlearn.cohort.finding_set import FindingSet, LabelledFindings

        if not self.marked:
            assert self.table is not None
            return self.table
        items = []
        for one in self.marked:
            key = scan_key_of(one.origin, one.name, cohort)
            patient = cohort.record(key).patient
            items.append(LabelledFindings(key, patient, one.spheres))
        FindingSet("spheres", tuple(items)).save(draft)
        return draft


class SpherePanel(LabelPanel):
    """What is looked for, the diameter of points, and the labelled scans."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.finding = QLineEdit("nodule")
        self.finding.setToolTip("What one finding is called")
        self.diameter = QDoubleSpinBox()
        self.diameter.setRange(1.0, 200.0)
        self.diameter.setSuffix(" mm")
        self.diameter.setDecimals(1)
        self.diameter.setValue(_USUAL_MM)
        self.diameter.setToolTip("Of the selected points, and of those to come")
        self.labels = LabelledList()
        self.new_button = button(
            "New points layer", self.new_layer, "An empty layer over the shown scan"
        )
        self.use_button = button(
            "Use this layer", self.use_layer, "Take the selected Points layer as it is"
        )
        self.browse_button = button(
            "Browse…", self.browse, "A table with path, x, y, z, diameter"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            labelled("Find", self.finding),
            labelled("Diameter", self.diameter),
            heading("Labelled scans"),
            hint(_MARK),
            self.labels,
            row(self.new_button, self.use_button, self.browse_button),
        ):
            layout.addWidget(widget)
        self.labels.changed.connect(self.changed)
        self.diameter.valueChanged.connect(self._resize)

    def new_layer(self) -> None:
        """Add an empty Points layer over the shown scan, ready to add points."""
        self._try(lambda: new_points(self.viewer, self.diameter.value()))

    def use_layer(self) -> None:
        """Take the chosen Points layer into the list of labelled scans."""
        layer = chosen_points(self.viewer)
        assert layer is not None
        marked = snapshot_points(layer)
        self.labels.add((marked, amount_marked(marked)))

    def browse(self) -> None:
        """Let the user choose a table."""
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Table of findings", filter="Tables (*.csv)"
        )
        if chosen:
            self.labels.add(Path(chosen))

    def refresh(self) -> None:
        """Look again at the viewer's layers."""
        no_scan = "" if shown_scan(self.viewer) else "Add a scan to the viewer first"
        gate(self.new_button, no_scan)
        none = "" if chosen_points(self.viewer) else "Press 'New points layer' and mark"
        gate(self.use_button, none)

    def missing(self) -> str:
        """Say that labels are needed."""
        if self.labels.folder() is not None:
            return ""
        if not self.labels.sources:
            return "Add labels first: 'Use this layer' or 'Browse…'"
        if not any(len(marked.spheres) for marked in self.labels.painted()):
            return "Mark at least one finding: the scans in the list have none"
        return ""

    def gathered(self) -> MarkedLabels:
        """Return the labels as they are now."""
        finding = self.finding.text().strip() or "nodule"
        marked = tuple(self.labels.painted())
        return MarkedLabels(finding, marked, self.labels.folder())

    def _resize(self, diameter_mm: float) -> None:
        layer = chosen_points(self.viewer)
        if layer is not None:
            set_diameter(self.viewer, layer, diameter_mm)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except ScanlearnError as error:
            self.failed.emit(error)
