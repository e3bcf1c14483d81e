"""The result of a texture map: how much of each lung and third is what."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from scanlearn.config.palette import class_colour
from scanlearn.gui.kit.widgets import hint
from scanlearn.gui.tasks.shared.label_layers import label_layers, onto
from scanlearn.gui.tasks.shared.legend import Legend
from scanlearn.gui.tasks.shared.lungs_text import lungs_text
from scanlearn.gui.tasks.shared.result_panel import ResultPanel
from scanlearn.gui.viewer.layers import LayerData, Origin, labels_layer
from scanlearn.prediction.summary import LOW, Prediction
from scanlearn.scans.geometry import Grid

_LAA = "laa950_percent"


def texture_layers(
    prediction: Prediction, origin: Origin, shown: Grid
) -> list[LayerData]:
    """Return the map with its probabilities, and LAA-950 as a hidden layer."""
    from scanlearn.scans.labels.read_labels import read_label_map

    layers = label_layers(prediction, origin, shown)
    name = prediction.facts.get("laa950")
    if not name:
        return layers
    low, _ = read_label_map(prediction.folder / name, like=origin.grid)
    voxels = onto(low, origin.grid, shown, order=0)
    data, settings, kind = labels_layer(
        voxels, shown, origin, name="LAA-950", classes={LOW: "below -950 HU"}
    )
    return [(data, settings | {"visible": False}, kind), *layers]


class TextureResult(ResultPanel):
    """A legend, a table of the lungs' parts, densities with their cautions."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.legend = Legend()
        self.table = QTableWidget()
        self.lungs = hint()
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        lines = self.table.verticalHeader()
        assert lines is not None
        lines.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.legend, self.table, self.lungs):
            layout.addWidget(widget)

    def show_prediction(self, prediction: Prediction, layers: list[Any]) -> None:
        """Show the parts, a line each; percent of the part's volume."""
        self.legend.show_classes(prediction.classes)
        rows = prediction.facts["parts"]
        names = [one.name for one in prediction.classes]
        measured = any(row[_LAA] is not None for row in rows)
        heads = ["Percent", *names, *(["LAA-950"] * measured)]
        self.table.setColumnCount(len(heads))
        for column, text in enumerate(heads):
            # The icon tells columns apart where a name is cut.
            one = QTableWidgetItem(text)
            one.setToolTip(text)
            one.setTextAlignment(Qt.AlignmentFlag.AlignLeft)
            if 0 < column <= len(names):
                one.setIcon(_swatch(prediction.classes[column - 1].value))
            self.table.setHorizontalHeaderItem(column, one)
        self.table.setRowCount(len(rows))
        for line, row in enumerate(rows):
            keys = [f"{name}_percent" for name in names] + [_LAA] * measured
            cells = [_part(row), *(_percent(row[key]) for key in keys)]
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(line, column, item)
        head = self.table.horizontalHeader()
        assert head is not None
        head.setTextElideMode(Qt.TextElideMode.ElideRight)
        head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        head.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.table.resizeRowsToContents()
        height = sum(self.table.rowHeight(n) for n in range(len(rows)))
        self.table.setFixedHeight(height + head.sizeHint().height() + 8)
        self.lungs.setText(lungs_text(prediction))
        self.lungs.setVisible(bool(self.lungs.text()))


def _part(row: dict[str, Any]) -> str:
    lung = {"both": "Both", "right": "Right", "left": "Left"}[row["lung"]]
    part = row["part"].removesuffix(" third")
    return f"{lung} lungs" if part == "whole" and lung == "Both" else f"{lung} {part}"


def _swatch(value: int) -> QIcon:
    pixels = QPixmap(10, 10)
    pixels.fill(QColor(class_colour(value)))
    return QIcon(pixels)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
