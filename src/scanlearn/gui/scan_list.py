"""The list of scans found: picture, modality, size, spacing, patient key, warnings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from scanlearn.gui.layers import short_key
from scanlearn.gui.thumbnails import SIZE
from scanlearn.gui.widgets import shortened
from scanlearn.scans.scan import ScanEntry

#: Slices this far apart hide small lesions.
THICK_MM = 5.0


class ScanList(QListWidget):
    """One item a scan; unreadable files are listed with the reason, not hidden."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setIconSize(QSize(SIZE, SIZE))
        self.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(True)
        self.setSpacing(1)
        self.setMinimumHeight(220)
        self.entries: tuple[ScanEntry, ...] = ()

    def show_scans(self, entries: Sequence[ScanEntry], patients: Sequence[str]) -> None:
        """List scans; ``patients`` are their keys."""
        self.clear()
        self.entries = tuple(entries)
        blank = _icon(np.full((SIZE, SIZE), 40, dtype=np.uint8))
        for entry, patient in zip(entries, patients, strict=True):
            item = QListWidgetItem(blank, _text(entry, patient))
            item.setToolTip(_tip(entry, patient))
            if entry.error:
                item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.addItem(item)
        if self.entries and not self.entries[0].error:
            self.setCurrentRow(0)

    def show_picture(self, index: int, picture: NDArray[np.uint8]) -> None:
        """Show the thumbnail of one scan."""
        item = self.item(index)
        if item is not None:
            item.setIcon(_icon(picture))

    def chosen(self) -> list[ScanEntry]:
        """Return the selected scans."""
        rows = sorted(index.row() for index in self.selectedIndexes())
        return [self.entries[row] for row in rows if not self.entries[row].error]


def summary(entries: Sequence[ScanEntry]) -> str:
    """Return ``"128 scans · 3 warnings · 1 unreadable"``."""
    good = [entry for entry in entries if not entry.error]
    warned = sum(1 for entry in good if _warnings(entry))
    unreadable = len(entries) - len(good)
    parts = [f"{len(good)} scan{'s' * (len(good) != 1)}"]
    if warned:
        parts.append(f"{warned} with warnings")
    if unreadable:
        parts.append(f"{unreadable} unreadable")
    return " · ".join(parts)


def _text(entry: ScanEntry, patient: str) -> str:
    if entry.error:
        reason = entry.error.removeprefix(str(entry.path)).lstrip(": ")
        return f"⚠ {shortened(entry.path.name, 34)}\n{reason.split('. ')[0]}"
    about = entry.acquisition
    # "OT", other, is what DICOM calls it when nobody said.
    kind = "image" if about.modality == "OT" else about.modality
    what = " ".join(word for word in (kind, about.body_part.lower()) if word)
    shape, spacings = _across_first(entry)
    size = "×".join(str(n) for n in shape)
    spacing = "×".join(f"{mm:.3g}" for mm in spacings)
    warnings = _warnings(entry)
    mark = "⚠" if warnings else "✓"
    lines = [f"{what} · {size}", f"{spacing} mm · {short_key(patient)} {mark}"]
    return "\n".join([*lines, *warnings[:1]])


def _across_first(entry: ScanEntry) -> tuple[list[int], list[float]]:
    """Return size and spacing left-right, front-back, head-foot, as people say them."""
    axes = ("LR", "PA", "SI")
    letters = [axis for pair in axes for axis in entry.orientation if axis in pair]
    order = [entry.orientation.index(letter) for letter in letters]
    if sorted(order) != list(range(len(entry.shape))):
        order = list(range(len(entry.shape)))
    return [entry.shape[i] for i in order], [entry.spacing_mm[i] for i in order]


def _tip(entry: ScanEntry, patient: str) -> str:
    parts = [str(entry.path), f"Patient {patient}", entry.acquisition.description]
    parts += [f"{p.severity}: {p.text} {p.action}".strip() for p in entry.problems]
    return "\n".join(part for part in [*parts, entry.error] if part)


def _warnings(entry: ScanEntry) -> list[str]:
    found = [p.text for p in entry.problems if p.severity in ("warning", "error")]
    thickest = max(entry.spacing_mm, default=0.0)
    if len(entry.shape) == 3 and entry.shape[0] > 1 and thickest >= THICK_MM:
        found.append(f"thick slices: {thickest:.3g} mm")
    return found


def _icon(picture: NDArray[np.uint8]) -> QIcon:
    height, width = picture.shape
    grey = QImage.Format.Format_Grayscale8
    image = QImage(picture.tobytes(), width, height, width, grey)
    pixmap = QPixmap.fromImage(image)
    icon = QIcon(pixmap)
    # Qt would tint the picture of a selected scan.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
