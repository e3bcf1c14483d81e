"""Tells when a training ends, in whatever dock one is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication

from scanlearn.gui.kit.durations import duration
from scanlearn.gui.shared.run_list import RunList, RunRow


class RunEnds(QObject):
    """Compares the runs with those before: what was running and is not has ended."""

    def __init__(self, runs: RunList) -> None:
        super().__init__()
        self._running: set[Path] = set()
        runs.changed.connect(self._look)

    def _look(self, rows: Sequence[RunRow]) -> None:
        for run in rows:
            if run.path in self._running and run.state != "running":
                _tell(run)
        self._running = {run.path for run in rows if run.state == "running"}


def _tell(run: RunRow) -> None:
    best = f", best {run.best}" if run.best else ""
    text = f"{run.title} {run.state} after {duration(run.seconds)}{best}"
    tell = show_info if run.state in ("finished", "stopped") else show_warning
    tell(text)
    window = QApplication.activeWindow()
    if window is None:  # another program is in front: the taskbar asks for attention
        for one in QApplication.topLevelWidgets():
            if one.isVisible() and one.isWindow():
                QApplication.alert(one)
