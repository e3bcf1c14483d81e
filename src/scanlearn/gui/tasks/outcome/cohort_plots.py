"""A patient among the cohort: survival over time, and a strip of all patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from napari.settings import get_settings
from qtpy.QtWidgets import QWidget

from scanlearn.config.palette import CLASS_COLOURS
from scanlearn.gui.kit.background import connect_while_alive
from scanlearn.gui.kit.widgets import theme

_PATIENT, _COHORT = CLASS_COLOURS[1], CLASS_COLOURS[0]


class _Plot(pg.PlotWidget):
    """A plot that is looked at, not moved, in the colours of napari's theme."""

    def __init__(self, height: int, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=None)
        self.setFixedHeight(height)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setMenuEnabled(False)
        for side in ("left", "bottom"):
            self.getPlotItem().getAxis(side).enableAutoSIPrefix(False)
        self._style()
        connect_while_alive(self, get_settings().appearance.events.theme, self._style)

    def _style(self) -> None:
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(theme().icon.as_hex())
            axis.setTextPen(theme().text.as_hex())


class SurvivalPlot(_Plot):
    """Share of patients without the event over time: this one, and the mean one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(150, parent)
        self.setYRange(0, 1, padding=0.03)
        plot = self.getPlotItem()
        plot.setLabel("left", "without event")
        plot.setLabel("bottom", "time")
        self.mean = plot.plot(pen=pg.mkPen(_COHORT, width=2), stepMode="right")
        self.patient = plot.plot(pen=pg.mkPen(_PATIENT, width=3), stepMode="right")

    def show_curve(self, curve: dict[str, Any]) -> None:
        """Draw both curves as steps from 1."""
        times = [0.0, *curve["times"]]
        self.mean.setData(times, [1.0, *curve["mean"]])
        self.patient.setData(times, [1.0, *curve["survival"]])


class CohortStrip(_Plot):
    """Every patient of the training as a line, and this one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(90, parent)
        self.setYRange(0, 1, padding=0)
        self.getPlotItem().hideAxis("left")
        self.others = self.getPlotItem().plot(pen=pg.mkPen(_COHORT, width=1))
        self.line = pg.InfiniteLine(pen=pg.mkPen(_PATIENT, width=3))
        self.addItem(self.line)

    def show_patient(self, value: float, cohort: Sequence[float], name: str) -> None:
        """Draw a number among those of the cohort."""
        x = np.repeat(np.asarray(cohort, dtype=float), 2)
        y = np.tile([0.0, 0.6], len(cohort))
        self.others.setData(x, y, connect="pairs")
        self.line.setValue(value)
        reach = [*cohort, value]
        self.setXRange(min(reach), max(reach))
        self.getPlotItem().setLabel("bottom", name)
