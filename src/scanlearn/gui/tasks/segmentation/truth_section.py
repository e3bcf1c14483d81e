"""What counts as truth of the selected label layer, told and ticked slice by slice."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QRadioButton, QVBoxLayout, QWidget
from superqt import QElidingLabel

from scanlearn.gui.kit.background import connect_while_alive
from scanlearn.gui.kit.widgets import hint
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.gui.viewer.new_layers import chosen_labels
from scanlearn.gui.viewer.truth import TICK_KEY, TruthTracker, known_of


class TruthSection(QWidget):
    """Slices touched or ticked, or the whole scan; hidden without such a layer."""

    def __init__(self, tracker: TruthTracker, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tracker = tracker
        self.title = QElidingLabel("Counts as truth")
        self.title.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.title.setStyleSheet("font-weight: 600")
        self.slices = QRadioButton("slices I touched or ticked")
        self.whole = QRadioButton("the whole scan")
        self.counted = hint()
        self.tick = QCheckBox(f"This slice is right ({TICK_KEY})")
        self.tick.setToolTip(
            "Take the slice in view as truth as it is, its background, too"
        )
        self.slices.setToolTip("All else is unknown: a training passes over it")
        self.whole.setToolTip("What is not painted anywhere is background")
        self.saved = hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addWidget(self.slices)
        layout.addWidget(self.whole)
        layout.addWidget(self.counted)
        # No wider than its words: beside them a click does nothing.
        layout.addWidget(self.tick, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.saved)
        self.tick.clicked.connect(self._ticked)
        self.whole.toggled.connect(self._choose)
        tracker.changed.connect(lambda _layer: self.refresh())
        viewer = tracker.viewer
        for emitter in (
            viewer.dims.events.current_step,
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
        ):
            connect_while_alive(self, emitter, self.refresh)
        self.refresh()

    @property
    def layer(self) -> Any | None:
        """The label layer that is told of: selected, or on the scan that is."""
        viewer = self.tracker.viewer
        layer, active = chosen_labels(viewer), viewer.layers.selection.active
        if layer is None or known_of(layer) is None:
            return None
        mine, shown = origin_of(layer), origin_of(active) if active else None
        elsewhere = mine and shown and not mine.same_scan(shown)
        return None if elsewhere else layer

    def refresh(self) -> None:
        """Look again at the selected layer and the slice in view."""
        layer = self.layer
        self.setVisible(layer is not None)
        if layer is None:
            return
        known, place = known_of(layer), self.tracker.slice_in_view(layer)
        assert known is not None
        self.title.setText(f"Counts as truth · {layer.name}")
        self._show(known.whole)
        told = known.counted(grid_of(layer))
        self.counted.setText(told[0].upper() + told[1:])
        self.tick.setEnabled(place is not None and not known.whole)
        self.tick.blockSignals(True)
        self.tick.setChecked(self.tracker.is_ticked(layer))
        self.tick.blockSignals(False)

    def _show(self, whole: bool) -> None:
        for choice, chosen in ((self.slices, not whole), (self.whole, whole)):
            choice.blockSignals(True)
            choice.setChecked(chosen)
            choice.blockSignals(False)

    def _ticked(self, right: bool) -> None:
        layer = self.layer
        if layer is not None:
            self.tracker.tick(layer, right=right)

    def _choose(self, whole: bool) -> None:
        layer = self.layer
        if layer is not None:
            self.tracker.set_whole(layer, whole)
