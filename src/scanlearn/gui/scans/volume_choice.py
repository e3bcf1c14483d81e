"""Which volume of a 4D file is shown."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtWidgets import QLabel, QSpinBox, QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import labelled, row
from scanlearn.scans.scan import ScanEntry


class VolumeChoice(QWidget):
    """A number beside the list; hidden unless the selected file holds several."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.number = QSpinBox()
        self.number.setToolTip(
            "Which volume is added to the viewer, counted from 0. For preparing, the "
            "column 'volume' of a table chooses."
        )
        self.total = QLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(labelled("Volume", row(self.number, self.total, stretch=0)))
        self.show_entry(None)

    def show_entry(self, entry: ScanEntry | None) -> None:
        """Offer the volumes of an entry, if it has several."""
        count = volumes_of(entry) if entry is not None else 1
        self.number.setRange(0, count - 1)
        self.total.setText(f"of {count}")
        self.setVisible(count > 1)

    def chosen(self, entry: ScanEntry) -> ScanEntry:
        """Return an entry with the volume that is chosen, where it has several."""
        if volumes_of(entry) == 1:
            return entry
        return replace(entry, volume=min(self.number.value(), volumes_of(entry) - 1))


def volumes_of(entry: ScanEntry) -> int:
    """Return how many volumes may be chosen from; 1 where it was chosen already."""
    several = len(entry.shape) == 4 and entry.volume is None
    return entry.shape[3] if several else 1
