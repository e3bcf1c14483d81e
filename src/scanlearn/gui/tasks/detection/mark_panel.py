"""Labels of detection, drawn on scans or in a table; what is drawn says a subclass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QLineEdit, QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import (
    TABLE_FILES,
    button,
    gate,
    heading,
    hint,
    labelled,
    row,
)
from scanlearn.gui.tasks.detection.marked_spheres import Marked
from scanlearn.gui.tasks.shared.label_panel import LabelPanel
from scanlearn.gui.tasks.shared.labelled_list import LabelledList
from scanlearn.gui.tasks.shared.scan_keys import scan_key_of
from scanlearn.gui.viewer.labels_io import Amount
from scanlearn.gui.viewer.new_layers import shown_scan

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.tasks.detection.finding_set import Kind


@dataclass(frozen=True)
class MarkedLabels:
    """Marked layers, or a table or masks where there are none."""

    kind: Kind
    finding: str
    marked: tuple[Marked, ...]
    table: Path | None

    def changes(self) -> dict[str, Any]:
        """Return what a finding is called."""
        return {"recipe": {"finding": self.finding}}

    def source(self, cohort: Cohort, draft: Path) -> Path:
        """Write marked layers as a run keeps them."""
        from scanlearn.tasks.detection.finding_set import FindingSet, LabelledFindings

        if not self.marked:
            assert self.table is not None
            return self.table
        items = []
        for one in self.marked:
            key = scan_key_of(one.origin, one.name, cohort)
            patient = cohort.record(key).patient
            items.append(LabelledFindings(key, patient, one.objects))
        FindingSet(self.kind, tuple(items)).save(draft)
        return draft


class MarkPanel(LabelPanel):
    """What is looked for, and the labelled scans."""

    kind: Kind
    #: What a finding is called unless the user says otherwise.
    usual: str
    #: The type of layer it is drawn on, and the columns of a table.
    layer_type: str
    columns: str
    #: How it is drawn.
    how: str

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.finding = QLineEdit(self.usual)
        self.finding.setToolTip("What one finding is called")
        self.labels = LabelledList()
        kind = self.layer_type
        self.new_button = button(
            f"New {kind.lower()} layer",
            self.new_layer,
            "An empty layer over the shown scan",
        )
        self.use_button = button(
            "Use this layer", self.use_layer, f"Take the selected {kind} layer as it is"
        )
        self.browse_button = button(
            "Browse…", self.browse, f"A table with path, {self.columns}"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            labelled("Find", self.finding),
            *self.more(),
            heading("Labelled scans"),
            hint(self.how),
            self.labels,
            row(self.new_button, self.use_button, self.browse_button),
        ):
            layout.addWidget(widget)
        self.labels.changed.connect(self.changed)

    def more(self) -> list[QWidget]:
        """Return what a kind of finding asks for beside its name."""
        return []

    def make_layer(self) -> object:
        """Add an empty layer over the shown scan, ready to draw on."""
        raise NotImplementedError

    def chosen_layer(self) -> Any | None:
        """Return the layer to use: selected, else the last one tied to a scan."""
        raise NotImplementedError

    def snapshot(self, layer: Any) -> tuple[Marked, Amount]:
        """Copy what was drawn on a layer, and say how much it is."""
        raise NotImplementedError

    def new_layer(self) -> None:
        """Add an empty layer over the shown scan, ready to draw on."""
        self.attempt(self.make_layer)

    def use_layer(self) -> None:
        """Take the chosen layer into the list of labelled scans."""
        layer = self.chosen_layer()
        assert layer is not None
        self.attempt(lambda: self.labels.add(self.snapshot(layer)))

    def take(self, source: tuple[Marked, Amount]) -> None:
        """Take a reviewed scan into the list of labelled scans."""
        self.labels.add(source)

    def browse(self) -> None:
        """Let the user choose a table."""
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Table of findings", filter=TABLE_FILES
        )
        if chosen:
            self.labels.add(Path(chosen))

    def refresh(self) -> None:
        """Look again at the viewer's layers."""
        no_scan = "" if shown_scan(self.viewer) else "Add a scan to the viewer first"
        gate(self.new_button, no_scan)
        first = f"Press '{self.new_button.text()}' and mark"
        gate(self.use_button, "" if self.chosen_layer() is not None else first)

    def missing(self) -> str:
        """Say that labels are needed."""
        if self.labels.folder() is not None:
            return self.labels.clash()
        if not self.labels.sources:
            return "Add labels first: 'Use this layer' or 'Browse…'"
        if not any(len(marked.objects) for marked in self.labels.painted()):
            return "Mark at least one finding: the scans in the list have none"
        return ""

    def gathered(self) -> MarkedLabels:
        """Return the labels as they are now."""
        finding = self.finding.text().strip() or self.usual
        marked = tuple(self.labels.painted())
        return MarkedLabels(self.kind, finding, marked, self.labels.folder())
