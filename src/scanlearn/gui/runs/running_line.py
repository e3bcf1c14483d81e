"""What is trained now, seen from every tab."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.kit.health_light import SYMBOLS
from scanlearn.gui.kit.widgets import button, hint, row, shortened
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.shared.state import shared_state


class RunningLine(QWidget):
    """``"● lung-lesion · 21 %"`` with *Show*; hidden while nothing is trained."""

    wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = hint()
        self.show_button = button("Show", self._show, "Open it under Runs")
        self._first: Path | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 0)
        layout.addWidget(row(self.text, self.show_button, stretch=0))
        runs = shared_state().runs
        runs.changed.connect(self._tell)
        runs.watch(self)
        self._tell(runs.rows)

    def _tell(self, rows: tuple[RunRow, ...]) -> None:
        running = [run for run in rows if run.state == "running"]
        self.setVisible(bool(running))
        if not running:
            return
        first = running[0]
        self._first = first.path
        title = shortened(first.title, 28)
        words = f"{SYMBOLS[first.light]} {title} · {first.percent} %"
        more = f" and {len(running) - 1} more" if running[1:] else ""
        self.text.setText(f"{words}{more}")

    def _show(self) -> None:
        self.wanted.emit(self._first)
