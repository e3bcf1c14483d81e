"""The place in a dock where the card of its running training stands."""

from __future__ import annotations

from contextlib import suppress

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.runs.run_card import RunCard
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.shared.state import shared_state
from scanlearn.runs import RunFolder


class RunSlot(QWidget):
    """Shows one card; attaches by itself to a training of its kind that goes on."""

    changed = Signal()

    def __init__(self, kind: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind = kind
        self.card: RunCard | None = None
        self._left: set[str] = set()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._running = False
        self.state = shared_state()
        self.state.runs.changed.connect(self._attach)
        self.state.runs.watch(self)
        self._attach(self.state.runs.rows)

    @property
    def running(self) -> bool:
        """Whether the training of the card goes on."""
        return self._running

    def show_run(self, run: RunFolder) -> None:
        """Show the card of a run in place of the one before."""
        self._take_away()
        self.card = RunCard(run)
        self.card.ended.connect(self._ended)
        self.card.detached.connect(self._detached)
        self._layout.addWidget(self.card)
        self._running = True
        self.changed.emit()

    def _attach(self, rows: tuple[RunRow, ...]) -> None:
        if self.card is not None:
            return
        for row in rows:
            mine = row.kind == self._kind and row.state == "running"
            if mine and row.name not in self._left:
                with suppress(ScanlearnError, OSError):  # its row will tell
                    self.show_run(RunFolder(row.path))
                return

    def _ended(self, _run: RunFolder) -> None:
        self._running = False
        self.state.runs.refresh()
        self.changed.emit()

    def _detached(self) -> None:
        if self.card is not None:
            self._left.add(self.card.run.name)
        self._take_away()
        self.changed.emit()

    def _take_away(self) -> None:
        self._running = False
        if self.card is not None:
            self.card.blockSignals(True)
            self.card.detach()
            self._layout.removeWidget(self.card)
            self.card.hide()
            self.card.deleteLater()
            self.card = None
