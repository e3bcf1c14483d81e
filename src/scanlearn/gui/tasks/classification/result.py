"""The result of a classification: probabilities, the map shown, how far to trust."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHeaderView,
    QLabel,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from scanlearn.config.palette import AGAINST, FOR
from scanlearn.gui.kit.widgets import hint
from scanlearn.gui.tasks.shared.result_panel import ResultPanel
from scanlearn.prediction.activation_figure import told_classes
from scanlearn.prediction.summary import Prediction

#: More classes than this scroll.
_ROWS = 10

#: Scores of fewer patients are said to be rough.
_FEW = 20


class ClassificationResult(ResultPanel):
    """What the image shows, a line a class; choosing one shows its map."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.setStyleSheet("font-weight: 600")
        self.table = QTableWidget(0, 2)
        self.table.setHorizontalHeaderLabels(["Class", "Probability"])
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        lines = self.table.verticalHeader()
        assert lines is not None
        lines.setVisible(False)
        self.key = QLabel()
        self.key.setWordWrap(True)
        self.trust = hint()
        self._layers: dict[str, Any] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.said, self.table, self.key, self.trust):
            layout.addWidget(widget)
        self.table.itemSelectionChanged.connect(self._show_map)

    def show_prediction(self, prediction: Prediction, layers: list[Any]) -> None:
        """Show the probabilities and the scores on held-out patients."""
        facts = prediction.facts
        shares: dict[str, float] = facts["probabilities_of"]
        told = told_classes(prediction)
        self._layers = dict(zip(reversed(told), layers, strict=False))
        self.said.setText(", ".join(facts["label"]) or "none of the findings")
        names = sorted(shares, key=lambda name: -shares[name])
        self.table.blockSignals(True)
        self.table.setRowCount(len(names))
        for line, name in enumerate(names):
            item = QTableWidgetItem(name)
            item.setToolTip(name)
            self.table.setItem(line, 0, item)
            self.table.setCellWidget(line, 1, _bar(shares[name]))
        if told[0] in names:
            self.table.selectRow(names.index(told[0]))
        self.table.blockSignals(False)
        head = self.table.horizontalHeader()
        assert head is not None
        head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        rows = min(len(names), _ROWS)
        height = sum(self.table.rowHeight(n) for n in range(rows))
        self.table.setFixedHeight(height + head.sizeHint().height() + 12)
        self._name_map(told[0])
        self.trust.setText(_trust(facts))

    def _show_map(self) -> None:
        """Show the map of the chosen class in place of the others."""
        chosen = self.table.item(self.table.currentRow(), 0)
        name = chosen.text() if chosen is not None else ""
        if name not in self._layers:
            return
        for other, layer in self._layers.items():
            layer.visible = other == name
        self._name_map(name)

    def _name_map(self, name: str) -> None:
        self.key.setText(
            f"<span style='color:{FOR}'>■</span> speaks for {name}&nbsp;&nbsp; "
            f"<span style='color:{AGAINST}'>■</span> speaks against it"
        )


def _bar(share: float) -> QProgressBar:
    bar = QProgressBar()
    bar.setRange(0, 1000)
    bar.setValue(round(1000 * share))
    bar.setFormat(f"{share:.2f}")
    return bar


def _trust(facts: dict[str, Any]) -> str:
    learned = f"Learned from {facts['images']} images of {facts['patients']} patients"
    if not facts["held_out"]:
        return f"{learned}: too few to test on."
    each = ", ".join(f"{k} {v:.2f}" for k, v in facts["held_out"].items())
    few = " These are few: expect other numbers." if facts["patients"] < _FEW else ""
    return (
        f"{learned}. On held-out ones: {each}.{few} A probability is as if all classes "
        "were equally common."
    )
