"""What the checks found, as a table: severity, scan, what, suggested action."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, QTimer, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QHeaderView,
    QLineEdit,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from scanlearn.gui.kit.background import Failure
from scanlearn.gui.kit.health_light import COLOURS
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.scratch_folder import scratch_folder
from scanlearn.gui.kit.widgets import button, gate, hint, labelled
from scanlearn.gui.scans.listed_scan import MARKS, ListedScan, sentence
from scanlearn.gui.viewer.layers import short_key
from scanlearn.scans.scan import Problem

_COLUMNS = ("", "Scan", "What, and what to do")

#: Files named on hovering over a remark.
_NAMED = 8

_COLOURS = {"error": COLOURS["red"], "warning": COLOURS["amber"], "note": COLOURS[""]}

_ABOUT = (
    "The headers were checked. Empty images, wrong units, copies, missing lungs and "
    "damaged pixels show only when all voxels are read."
)


@dataclass(frozen=True)
class _Remark:
    """What was found, and the numbers and lines of the scans it is found of."""

    problem: Problem
    scans: dict[int, ListedScan]

    @property
    def who(self) -> str:
        """The patient, or how many scans there are."""
        first = next(iter(self.scans.values()))
        many = len(self.scans) > 1
        return f"{len(self.scans):,} scans" if many else short_key(first.patient)

    @property
    def excluded(self) -> bool:
        """Whether all of them are left out."""
        return all(scan.excluded for scan in self.scans.values())

    @property
    def tip(self) -> str:
        """Severity and files."""
        paths = [str(scan.entry.path) for scan in self.scans.values()]
        more = [f"and {len(paths) - _NAMED} more"] if len(paths) > _NAMED else []
        return "\n".join([self.problem.severity, *paths[:_NAMED], *more])


def _remarks_on(scans: Sequence[ListedScan]) -> list[_Remark]:
    """Return each remark once, the worst first, then those of the first scans."""
    found: dict[Problem, dict[int, ListedScan]] = {}
    for number, scan in enumerate(scans):
        for problem in scan.problems:
            found.setdefault(problem, {})[number] = scan
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(
        (_Remark(*one) for one in found.items()),
        key=lambda remark: order[remark.problem.severity],
    )


class _Model(QAbstractTableModel):
    """One line a remark, the worst first."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.lines: list[_Remark] = []

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of remarks."""
        return 0 if parent.isValid() else len(self.lines)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_COLUMNS)

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return what the view draws of one cell."""
        remark = self.lines[index.row()]
        problem = remark.problem
        if role == Qt.ItemDataRole.DisplayRole:
            words = f"{sentence(problem.text).rstrip('.')}. {problem.action}".strip()
            return (MARKS[problem.severity], remark.who, words)[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return remark.tip
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
        if role == Qt.ItemDataRole.ForegroundRole:
            if remark.excluded:
                return QColor(140, 140, 140)
            if index.column() == 0:
                return QColor(_COLOURS[problem.severity])
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = 0
    ) -> Any:
        """Return the name of a column."""
        across = orientation == Qt.Orientation.Horizontal
        if role == Qt.ItemDataRole.DisplayRole and across:
            return _COLUMNS[section]
        return None

    def show(self, scans: Sequence[ListedScan]) -> None:
        """Show the remarks on scans."""
        self.beginResetModel()
        self.lines = _remarks_on(scans)
        self.endResetModel()


class CheckTable(QWidget):
    """Folded to one line until it is opened; selecting a remark selects its scan."""

    scans_chosen = Signal(list)
    checked = Signal(list)
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.head = QToolButton()
        self.head.setCheckable(True)
        self.head.setAutoRaise(True)
        self.head.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.head.toggled.connect(self._fold)
        self._remarks = _Model(self)
        self.table = _table(self._remarks)
        self.reason = QLineEdit()
        self.reason.setPlaceholderText("as found")
        self.reason.setToolTip("Why scans are excluded; written into the catalogue")
        self.read_button = button(
            "Read all voxels", self._read, "Takes about a second for each scan"
        )
        self.about = hint(_ABOUT)
        self.job = JobRow()
        self.body = QWidget()
        inner = QVBoxLayout(self.body)
        inner.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self.table,
            labelled("Reason", self.reason),
            self.about,
            self.read_button,
            self.job,
        ):
            inner.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.head)
        layout.addWidget(self.body)
        chosen = self.table.selectionModel()
        assert chosen is not None
        chosen.selectionChanged.connect(lambda *_: self._chosen())
        self.job.finished.connect(lambda _events: self._done())
        self.job.failed.connect(self._fail)
        self.job.cancelled.connect(self._refresh)
        self._source: Path | None = None
        self._folder = scratch_folder(self, "check")
        self._fold(False)

    def show_scans(self, source: Path | None, scans: Sequence[ListedScan]) -> None:
        """Show the remarks on the scans found in a file or folder."""
        if source != self._source:
            self.job.cancel()
            self.about.setText(_ABOUT)
        self._source = source
        self._remarks.show(scans)
        self._fold(self.head.isChecked())
        self.setVisible(bool(scans))
        self._refresh()

    def _fold(self, is_open: bool) -> None:
        count = self._remarks.rowCount()
        told = f"{count:,} remark{'s' * (count != 1)}" if count else "no remarks"
        self.head.setText(f"{'▾' if is_open else '▸'} Checks · {told}")
        self.body.setVisible(is_open)
        self.table.setVisible(count > 0)

    def _chosen(self) -> None:
        chosen = self.table.selectionModel()
        assert chosen is not None
        lines = sorted(index.row() for index in chosen.selectedRows())
        if not lines:
            return
        chosen_scans = {n for line in lines for n in self._remarks.lines[line].scans}
        self.scans_chosen.emit(sorted(chosen_scans))

    def _read(self) -> None:
        self._out = Path(tempfile.mkdtemp(dir=self._folder)) / "checks.json"
        self.job.start(
            ["check", str(self._source), "--out", str(self._out)], "Reading all voxels"
        )
        self._refresh()

    def _done(self) -> None:
        from scanlearn.cohort.quality.checks import from_json

        self.about.setText("All voxels were read.")
        self.checked.emit(from_json(json.loads(self._out.read_text())))
        shutil.rmtree(self._out.parent, ignore_errors=True)
        self._refresh()

    def _fail(self, failure: Failure) -> None:
        self._refresh()
        self.failed.emit(failure)

    def _refresh(self) -> None:
        missing = "" if self._source else "Open scans first"
        gate(self.read_button, "Reading is going on" if self.job.busy else missing)


def _table(model: _Model) -> QTableView:
    table = QTableView()
    table.setModel(model)
    table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QTableView.SelectionMode.ExtendedSelection)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setVerticalScrollMode(QTableView.ScrollMode.ScrollPerPixel)
    table.setShowGrid(False)
    table.setMinimumHeight(150)
    lines, head = table.verticalHeader(), table.horizontalHeader()
    assert lines is not None
    assert head is not None
    lines.setVisible(False)
    head.setMinimumSectionSize(22)
    head.setHighlightSections(False)
    for column, width in ((0, 24), (1, 64)):
        head.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
        table.setColumnWidth(column, width)
    head.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
    # As high as the words need at the width there is.
    soon = QTimer(table)
    soon.setSingleShot(True)
    soon.timeout.connect(table.resizeRowsToContents)
    head.sectionResized.connect(lambda *_: soon.start())
    model.modelReset.connect(lambda: soon.start())
    return table
