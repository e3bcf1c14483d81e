"""Labels of single images: a table of the cohort's, to fill in or to load."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from scanlearn.config.classification import ClassificationConfig
from scanlearn.errors import BadLabels
from scanlearn.gui.kit.background import Report, in_background
from scanlearn.gui.kit.widgets import TABLE_FILES, button, heading, hint, row
from scanlearn.gui.tasks.shared.label_panel import LabelPanel
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import LayerData, short_key
from scanlearn.gui.viewer.orientation import show_orientation

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort

_ABOUT = (
    "Say what an image shows, such as normal or nodule; several findings joined by "
    "';'. An image without a label is not learned from."
)

_HEIGHT = 220


@dataclass(frozen=True)
class _Row:
    """An image of the cohort."""

    key: str
    patient: str
    source: str


@dataclass(frozen=True)
class _Images:
    """The images of a cohort, and the labels that a table says of them."""

    rows: tuple[_Row, ...]
    labels: dict[str, str]
    splits: dict[str, str]


@dataclass(frozen=True)
class WrittenLabels:
    """Labels as they stand in the dock's table, by key of the image."""

    labels: dict[str, str]
    splits: dict[str, str]

    def changes(self) -> dict[str, Any]:
        """Return no settings: the classes are in the labels."""
        return {}

    def source(self, cohort: Cohort, draft: Path) -> Path:
        """Write the labels as a run's inputs."""
        from scanlearn.tasks.classification.labels import labels_of

        patients = {r.key: r.patient for r in cohort.records() if r.is_radiograph}
        lost = [key for key in self.labels if key not in patients]
        if lost:
            raise BadLabels(
                f"The labelled image {lost[0]} is not in {cohort.path.name}",
                expected="labels of images of the chosen cohort",
                next_step="Choose the cohort that was labelled",
            )
        found = labels_of(self.labels, patients, ClassificationConfig(), self.splits)
        found.save(draft)
        return draft


class ImageLabelsPanel(LabelPanel):
    """A line an image: choosing it shows it, typing labels it."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.table_button = button(
            "Table…", self.browse, "Labels from a CSV with the columns path and label"
        )
        self.next_button = button(
            "Next without a label", self.go_to_next, "Show the next unlabelled image"
        )
        self.images = QTableWidget(0, 2)
        self.images.setHorizontalHeaderLabels(["Image", "Label"])
        self.images.setFixedHeight(_HEIGHT)
        self.images.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.images.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.images.setEditTriggers(
            QTableWidget.EditTrigger.DoubleClicked
            | QTableWidget.EditTrigger.AnyKeyPressed
        )
        self.images.setAccessibleName("Images and their labels")
        lines, head = self.images.verticalHeader(), self.images.horizontalHeader()
        assert lines is not None
        assert head is not None
        lines.setVisible(False)
        head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.counts = hint()
        self._cohort: Path | None = None
        self._rows: tuple[_Row, ...] = ()
        self._splits: dict[str, str] = {}
        self._shown: Any = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("What the images show"),
            hint(_ABOUT),
            row(self.table_button, self.next_button),
            self.images,
            self.counts,
        ):
            layout.addWidget(widget)
        self.images.itemChanged.connect(lambda _item: self.changed.emit())
        self.images.itemSelectionChanged.connect(self._show_image)

    def show_cohort(self, cohort: Path | None) -> None:
        """List the images of a cohort; labels of another one are dropped."""
        if cohort == self._cohort:
            return
        self._cohort, self._rows = cohort, ()
        self.images.setRowCount(0)
        if cohort is not None:
            self._load(None)

    def browse(self) -> None:
        """Let the user choose a table."""
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Table of labels", filter=TABLE_FILES
        )
        if chosen:
            self.open(Path(chosen))

    def open(self, table: Path) -> None:
        """Take the labels of a table over; labels of other images stay."""
        if self._cohort is not None:
            self._load(table)

    def labels(self) -> dict[str, str]:
        """Return what is said of each labelled image, by key."""
        said = {
            one.key: self._label(line)
            for line, one in enumerate(self._rows[: self.images.rowCount()])
        }
        return {key: text for key, text in said.items() if text}

    def go_to_next(self) -> None:
        """Choose the next image without a label, ready to be typed into."""
        count = self.images.rowCount()
        begin = self.images.currentRow() + 1
        for line in (n % count for n in range(begin, begin + count)):
            if not self._label(line):
                self.images.setCurrentCell(line, 1)
                self.images.setFocus()
                return

    def refresh(self) -> None:
        """Count the labels."""
        said = self.labels()
        self.next_button.setEnabled(len(said) < len(self._rows))
        counts = Counter(said.values())
        each = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
        left = len(self._rows) - len(said)
        self.counts.setText(f"{each or 'No labels yet'}; {left} without a label")
        self.counts.setVisible(bool(self._rows))

    def missing(self) -> str:
        """Say that images or labels are missing."""
        if self._cohort is not None and not self._rows:
            return "This cohort holds no radiographs, or they are being listed"
        counts = Counter(self.labels().values())
        if len(counts) < 2:
            return "Label images of at least two kinds, such as normal and abnormal"
        return ""

    def gathered(self) -> WrittenLabels:
        """Return the labels as they are now."""
        return WrittenLabels(self.labels(), dict(self._splits))

    def _label(self, line: int) -> str:
        item = self.images.item(line, 1)
        return "" if item is None else item.text().strip()

    def _load(self, table: Path | None) -> None:
        assert self._cohort is not None
        in_background(
            self,
            partial(_images, self._cohort, table),
            done=partial(self._take, self._cohort),
            failed=self.failed.emit,
        )

    def _take(self, cohort: Path, found: _Images) -> None:
        if cohort != self._cohort:
            return
        self._splits |= found.splits
        said = self.labels() | found.labels
        self._rows = found.rows
        self.images.blockSignals(True)
        self.images.setRowCount(len(found.rows))
        for line, one in enumerate(found.rows):
            name = f"{Path(one.source).name or one.key} · {short_key(one.patient)}"
            item = QTableWidgetItem(name)
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            item.setToolTip(one.source)
            self.images.setItem(line, 0, item)
            self.images.setItem(line, 1, QTableWidgetItem(said.get(one.key, "")))
        self.images.blockSignals(False)
        self.changed.emit()

    def _show_image(self) -> None:
        """Show the chosen image in place of the one before."""
        line = self.images.currentRow()
        if not 0 <= line < len(self._rows) or not self._rows[line].source:
            return
        source = Path(self._rows[line].source)

        def work(_report: Report) -> LayerData:
            from scanlearn.scans.find import find_scans

            return read_entry(find_scans(source)[0])

        in_background(
            self, work, done=partial(self._add, line), failed=self.failed.emit
        )

    def _add(self, line: int, layer: LayerData) -> None:
        if line != self.images.currentRow():
            return  # another was chosen meanwhile
        if self._shown in self.viewer.layers:
            self.viewer.layers.remove(self._shown)
        data, settings, _kind = layer
        self._shown = self.viewer.add_image(data, **settings)
        show_orientation(self.viewer)
        self.viewer.reset_view()


def _images(path: Path, table: Path | None, _report: Report) -> _Images:
    """Read which images there are, and what a table says of them."""
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.tasks.classification.labels import SEPARATOR, collect_image_labels

    cohort = Cohort(path)
    sources = cohort.sources()
    rows = tuple(
        _Row(r.key, r.patient, sources[r.key].path if r.key in sources else "")
        for r in cohort.records()
        if r.is_radiograph
    )
    if table is None:
        return _Images(rows, {}, {})
    found = collect_image_labels(table, cohort, ClassificationConfig())
    labels = {i.scan: SEPARATOR.join(i.classes) or "normal" for i in found.items}
    return _Images(rows, labels, {i.scan: i.split for i in found.items if i.split})
