"""Two runs side by side: curves over each other, settings that differ, scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from scanlearn.config.palette import CLASS_COLOURS
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.widgets import combo, fill, heading, hint, labelled, theme
from scanlearn.gui.runs.disagreement_section import DisagreementSection
from scanlearn.gui.runs.pair_facts import Line, PairFacts, read_pair
from scanlearn.gui.shared.run_list import RunRow

_LINE_HEIGHT, _MOST_LINES = 24, 8


class PairSection(QWidget):
    """A section of the Runs dock for two selected runs."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = heading("")
        self.curves = combo("Which curve")
        self.plot = pg.PlotWidget(background=None)
        self.plot.setFixedHeight(150)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.settings, self.scores = _table(), _table()
        self.same = hint("All settings are the same.")
        self.unscored = hint("Neither was validated or evaluated yet.")
        self.notice = Notice()
        self.disagreement = DisagreementSection(viewer)
        self.facts: PairFacts | None = None
        self._runs: tuple[RunRow, RunRow] | None = None
        self._lay_out()
        self.curves.currentIndexChanged.connect(self._draw)
        self.setVisible(False)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self.title,
            labelled("Curve", self.curves),
            self.plot,
            heading("Scores"),
            self.unscored,
            self.scores,
            heading("Settings that differ"),
            self.same,
            self.settings,
            self.notice,
            self.disagreement,
        ):
            layout.addWidget(widget)

    def show_runs(self, runs: Sequence[RunRow]) -> None:
        """Compare these; the section hides unless they are two that can be read."""
        fits = len(runs) == 2 and not any(run.damaged for run in runs)
        self.setVisible(fits)
        pair = (runs[0], runs[1]) if fits else None
        if pair == self._runs:
            return
        self._runs = pair
        self.disagreement.show_runs(pair)
        if pair is None:
            return
        one, other = pair
        colours = [f'<span style="color:{c}">■</span>' for c in CLASS_COLOURS[:2]]
        self.title.setText(
            f"{colours[0]} {one.title} &nbsp; {colours[1]} {other.title}"
        )

        def work(_report: Report) -> PairFacts:
            return read_pair(one, other)

        shown = partial(self._show, pair)
        in_background(self, work, done=shown, failed=self._failed)

    def _show(self, pair: tuple[RunRow, RunRow], facts: PairFacts) -> None:
        if pair != self._runs:  # others were selected meanwhile
            return
        self.facts = facts
        self.notice.clear()
        items: list[tuple[str, object]] = [
            (name.replace("_", " "), name) for name in facts.curves
        ]
        fill(self.curves, items, self.curves.currentData())
        self._draw()
        names = (pair[0].title, pair[1].title)
        _fill_table(self.settings, facts.settings, ("Setting", *names))
        _fill_table(self.scores, facts.scores, ("Score", *names))
        self.same.setVisible(not facts.settings)
        self.unscored.setVisible(not facts.scores)

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)

    def _draw(self, *_: object) -> None:
        self.plot.clear()
        name = self.curves.currentData()
        self.plot.setVisible(name is not None)
        if self.facts is None or name is None:
            return
        for axis in ("left", "bottom"):
            self.plot.getAxis(axis).setPen(theme().icon.as_hex())
            self.plot.getAxis(axis).setTextPen(theme().text.as_hex())
        for story, colour in zip(self.facts.stories, CLASS_COLOURS, strict=False):
            if name in story.curves:
                steps, values = story.curves[name]
                few = "o" if len(steps) < 30 else None
                pen = pg.mkPen(colour, width=2)
                self.plot.plot(
                    *(steps, values),
                    pen=pen,
                    symbol=few,
                    symbolSize=4,
                    symbolBrush=colour,
                    symbolPen=None,
                )


def _named(colour: str, run: RunRow) -> str:
    return f'<span style="color:{colour}">■</span> {escape(run.title)}'


def _table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.setWordWrap(False)
    lines, head = table.verticalHeader(), table.horizontalHeader()
    assert lines is not None
    assert head is not None
    lines.setVisible(False)
    lines.setDefaultSectionSize(_LINE_HEIGHT)
    head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    return table


def _fill_table(
    table: QTableWidget, rows: Sequence[Line], columns: Sequence[str]
) -> None:
    """Show all lines, as high as they need up to a limit; each whole on hover."""
    table.setVisible(bool(rows))
    table.setHorizontalHeaderLabels(columns)
    table.setRowCount(len(rows))
    for line, cells in enumerate(rows):
        for column, text in enumerate(cells):
            item = QTableWidgetItem(text)
            item.setToolTip(text)
            table.setItem(line, column, item)
    table.setFixedHeight((min(len(rows), _MOST_LINES) + 1) * _LINE_HEIGHT + 8)
