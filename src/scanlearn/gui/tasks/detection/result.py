"""The result of a detection: a table of findings that leads to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDoubleSpinBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from scanlearn.gui.kit.widgets import hint, labelled, row
from scanlearn.gui.tasks.detection.overlay import (
    has_boxes,
    middle_of,
    read_any,
    show_only,
)
from scanlearn.gui.tasks.detection.score_colours import COLORMAP
from scanlearn.gui.tasks.shared.result_panel import ResultPanel
from scanlearn.prediction.summary import Prediction
from scanlearn.scans.tables.finding_table import BoxFinding, Finding

#: Findings from this score on are shown first; all others are a click away.
_SHOWN_FROM = 0.3

_COLUMNS = {
    "sphere": ("#", "Score", "mm", "x", "y", "z"),
    "box": ("#", "Score", "x", "y", "w", "h"),
}

_ABOUT = {
    "sphere": "Rings are as large as the findings. Click a line to go there; x, y, z "
    "are patient millimetres (LPS).",
    "box": "Click a line to go there; x and y of the corner at the top left, width (w) "
    "and height (h) are pixels of the file.",
}


class FindingResult(ResultPanel):
    """How many, from which score on, the colours of scores, and the table."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.count = hint()
        self.least = QDoubleSpinBox()
        self.least.setRange(0.0, 1.0)
        self.least.setSingleStep(0.05)
        self.least.setToolTip("Findings with a lower score are hidden")
        self.about = hint()
        self.table = QTableWidget(0, len(_COLUMNS["sphere"]))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setFixedHeight(190)
        for part, header in (
            ("columns", self.table.horizontalHeader()),
            ("rows", self.table.verticalHeader()),
        ):
            assert header is not None
            if part == "rows":
                header.setVisible(False)
            else:
                header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self.count,
            labelled("Score ≥", self.least),
            row(QLabel("Score 0"), _gradient(), QLabel("1"), stretch=1),
            self.table,
            self.about,
        ):
            layout.addWidget(widget)
        self.findings: list[Finding | BoxFinding] = []
        self._layer: Any = None
        self._name = "finding"
        self.least.valueChanged.connect(self._filter)
        self.table.itemSelectionChanged.connect(self._go)

    def show_prediction(self, prediction: Prediction, layers: list[Any]) -> None:
        """Fill the table; the layer of the findings follows the lowest score."""
        shape = "box" if has_boxes(prediction) else "sphere"
        self.findings = read_any(prediction)
        self.about.setText(_ABOUT[shape])
        self.table.setHorizontalHeaderLabels(_COLUMNS[shape])
        self._layer = layers[0] if layers else None
        self._grid = prediction.grid
        self._name = str(prediction.facts.get("finding", "finding"))
        self.table.clearContents()
        self.table.setRowCount(len(self.findings))
        for line, one in enumerate(self.findings):
            for column, text in enumerate(_cells(line + 1, one)):
                item = QTableWidgetItem(text)
                item.setTextAlignment(
                    Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                )
                self.table.setItem(line, column, item)
        self.least.setValue(_SHOWN_FROM)
        self._filter()
        if self.findings:
            self.table.selectRow(0)

    def _filter(self, _value: float = 0.0) -> None:
        shown = [one.score >= self.least.value() for one in self.findings]
        for line, visible in enumerate(shown):
            self.table.setRowHidden(line, not visible)
        if self._layer is not None:
            show_only(self._layer, self.findings, shown)
        self.count.setText(_counted(self._name, shown))

    def _go(self) -> None:
        """Show the slice of the chosen finding, with it in the middle."""
        lines = {item.row() for item in self.table.selectedItems()}
        if len(lines) == 1:
            # The world's axes are the patient's, read backwards.
            x, y, z = middle_of(self.findings[lines.pop()], self._grid)
            self.viewer.dims.set_point((0, 1, 2), (z, y, x))
            self.viewer.scene.camera.center = (z, y, x)


def _cells(number: int, one: Finding | BoxFinding) -> tuple[str, ...]:
    score = (str(number), f"{one.score:.2f}")
    if isinstance(one, BoxFinding):
        return (*score, *(f"{px:.0f}" for px in one.box))
    places = (f"{mm:.0f}" for mm in one.centre)
    return (*score, f"{one.diameter_mm:.1f}", *places)


def _counted(name: str, shown: Sequence[bool]) -> str:
    if not shown:
        return f"No {name} was found: the model gave nothing a score worth telling."
    plural = f"{name}s" if len(shown) != 1 else name
    return f"{len(shown)} possible {plural}, {sum(shown)} shown"


def _gradient() -> QLabel:
    """Return a bar with the colours of scores from 0 to 1."""
    from napari.utils.colormaps import ensure_colormap

    places = np.linspace(0, 1, 9)
    colours = ensure_colormap(COLORMAP).map(places)
    stops = ", ".join(
        f"stop:{at:.3f} rgb({r:.0f}, {g:.0f}, {b:.0f})"
        for at, (r, g, b) in zip(places, colours[:, :3] * 255, strict=True)
    )
    bar = QLabel()
    bar.setFixedHeight(10)
    bar.setStyleSheet(
        f"background: qlineargradient(x1:0, y1:0, x2:1, y2:0, {stops}); "
        "border-radius: 3px"
    )
    return bar
