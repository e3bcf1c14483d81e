"""The labelled scans of a fine-tuning: layers, a folder of masks or a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from scanlearn.cohort.labels.label_files import may_be_labels
from scanlearn.gui.kit.widgets import shortened
from scanlearn.gui.viewer.labels_io import Amount
from scanlearn.gui.viewer.layers import Origin
from scanlearn.scans.find import files_under
from scanlearn.scans.formats import is_table


class Drawn(Protocol):
    """A snapshot of a layer that somebody drew on a scan."""

    @property
    def name(self) -> str:
        """The layer's name."""
        ...

    @property
    def origin(self) -> Origin:
        """The scan it belongs to."""
        ...


Source = tuple[Drawn, Amount] | Path


class LabelledList(QListWidget):
    """Each source once; a layer used again replaces its older state."""

    #: Other scans have labels than before.
    changed = Signal()
    #: Labels of a scan in the list are others than before.
    updated = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(84)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.setToolTip("Press Delete to take a labelled scan off the list")
        self.sources: list[Source] = []
        self._masks = 0
        self._show_emptiness()

    def add(self, source: Source) -> None:
        """Add labels, in place of older ones of the same scan."""
        drawn = isinstance(source, tuple)
        known = drawn and any(_same(old, source) for old in self.sources)
        self._take(source)
        self._show()
        (self.updated if known else self.changed).emit()

    def painted(self) -> list[Any]:
        """Return the labels taken from layers."""
        return [source[0] for source in self.sources if isinstance(source, tuple)]

    def show_sources(self, sources: Sequence[Source]) -> None:
        """Replace the list; of several labels of a scan the last ones stay."""
        self.sources = []
        for source in sources:
            self._take(source)
        self._show()
        self.changed.emit()

    def scans(self) -> int | None:
        """Return how many scans have labels, about; None where it is not known."""
        masks = 0 if self.folder() is None else self._masks
        return len(self.painted()) or masks or None

    def folder(self) -> Path | None:
        """Return the folder of masks, if one was chosen."""
        paths = [source for source in self.sources if isinstance(source, Path)]
        return paths[-1] if paths else None

    def clash(self) -> str:
        """Say that layers and labels from disk cannot be learned from at once."""
        folder, drawn = self.folder(), len(self.painted())
        if folder is None or not drawn:
            return ""
        layers = "the layer" if drawn == 1 else f"the {drawn} layers"
        return (
            f"Labels come from layers or from {shortened(folder.name, 24)}, not from "
            f"both: select {layers} or that line in the list and press Delete"
        )

    def keyPressEvent(self, event: object) -> None:
        """Take the selected line away on Delete."""
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):  # type: ignore[attr-defined]
            chosen = {index.row() for index in self.selectedIndexes()}
            kept = [s for i, s in enumerate(self.sources) if i not in chosen]
            self.sources = kept
            self._show()
            self.changed.emit()
            return
        super().keyPressEvent(event)  # type: ignore[arg-type]

    def _take(self, source: Source) -> None:
        self.sources = [old for old in self.sources if not _same(old, source)]
        self.sources.append(source)
        if isinstance(source, Path):
            self._masks = _masks(source)

    def _show_emptiness(self) -> None:
        if not self.sources:
            item = QListWidgetItem("none yet")
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.addItem(item)

    def _show(self) -> None:
        self.clear()
        self._show_emptiness()
        for source in self.sources:
            text, tip = _described(source)
            item = QListWidgetItem(text)
            item.setToolTip(tip)
            self.addItem(item)


def _same(one: Source, other: Source) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return one[0].origin.same_scan(other[0].origin)
    # Masks of one folder only: a training reads one place.
    return isinstance(one, Path) and isinstance(other, Path)


def _described(source: Source) -> tuple[str, str]:
    if isinstance(source, tuple):
        painted, amount = source
        text = f"✎ {painted.origin.patient} · {amount.short}"
        return text, f"{painted.name}: {amount.meaning}\n{painted.origin.source}"
    if is_table(source):
        return f"{shortened(source.name, 24)} · table", str(source)
    masks = _masks(source)
    return f"{shortened(source.name, 24)} · {masks} mask{'s' * (masks != 1)}", str(
        source
    )


def _masks(source: Path) -> int:
    return sum(map(may_be_labels, files_under(source))) if source.is_dir() else 1
