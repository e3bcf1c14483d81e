"""The live curve of a run: the loss on the left axis, one metric on the right."""

from __future__ import annotations

import pyqtgraph as pg
from napari.settings import get_settings
from qtpy.QtWidgets import QWidget

from scanlearn.config.palette import CLASS_COLOURS
from scanlearn.gui.kit.background import connect_while_alive
from scanlearn.gui.kit.widgets import theme
from scanlearn.gui.shared.story import Story

#: Metrics in the order in which one is shown beside the loss.
_METRICS = ("dice", "retrieval", "accuracy")

_LEFT, _RIGHT = CLASS_COLOURS[0], CLASS_COLOURS[1]


class Curve(pg.PlotWidget):
    """Draws a story; moving and zooming are off, it is there to be glanced at."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=None)
        self.setFixedHeight(130)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setMenuEnabled(False)
        plot = self.getPlotItem()
        self._right = pg.ViewBox()
        plot.showAxis("right")
        plot.scene().addItem(self._right)
        plot.getAxis("right").linkToView(self._right)
        self._right.setXLink(plot)
        self._left_line = plot.plot(pen=pg.mkPen(_LEFT, width=2))
        self._left_line.setDownsampling(auto=True)
        self._right_line = pg.PlotDataItem(pen=pg.mkPen(_RIGHT, width=2))
        self._right.addItem(self._right_line)
        plot.getViewBox().sigResized.connect(self._align)
        for side in ("left", "right", "bottom"):
            plot.getAxis(side).enableAutoSIPrefix(False)
        self._style()
        connect_while_alive(self, get_settings().appearance.events.theme, self._restyle)
        self._story = Story()
        self.shown: tuple[str, str] = ("", "")

    def show_story(self, story: Story) -> None:
        """Draw the curves of a story."""
        self._story = story
        left, right = _chosen(list(story.curves))
        self.shown = (left, right)
        self._draw(story, left, self._left_line, "left", _LEFT)
        self._draw(story, right, self._right_line, "right", _RIGHT)

    def _draw(
        self, story: Story, name: str, line: pg.PlotDataItem, side: str, colour: str
    ) -> None:
        axis = self.getPlotItem().getAxis(side)
        axis.setStyle(showValues=bool(name))
        if not name:
            return
        steps, values = story.curves[name]
        # A single point has no line: validations are few, so they are marked.
        few = len(steps) < 30
        # At once: every single setter would draw the line anew.
        line.setData(
            steps,
            values,
            symbol="o" if few else None,
            symbolSize=4,
            symbolBrush=colour,
            symbolPen=None,
        )
        axis.setLabel(name.replace("_", " "), color=colour)

    def _align(self) -> None:
        self._right.setGeometry(self.getPlotItem().getViewBox().sceneBoundingRect())

    def _restyle(self) -> None:
        self._style()
        self.show_story(self._story)

    def _style(self) -> None:
        text = theme().text.as_hex()
        for side in ("left", "right", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(theme().icon.as_hex())
            axis.setTextPen(text)


def _chosen(names: list[str]) -> tuple[str, str]:
    """Return the names of the left and the right curve; empty where there is none."""
    left = "loss" if "loss" in names else (names[0] if names else "")
    others = [name for name in names if name != left]
    wanted = [name for name in _METRICS if name in others]
    return left, (wanted or others or [""])[0]
