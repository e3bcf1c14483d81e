"""What is seldom changed of a new cohort: crop, store, size, patients, lung masks."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from scanlearn.config.prepare import PrepareConfig
from scanlearn.gui.kit.widgets import button, combo, fold, labelled, row

_CROPS = (
    ("nothing: whole scans", "none"),
    ("to the body", "body"),
    ("to the lungs", "lungs"),
)
_STORES = (("npy: reads fastest", "npy"), ("blosc2: half the disk", "blosc2"))

_WIDTH = 88

_MASKS = (
    "Folder of lung masks (label maps or DICOM-SEG), named like the scans or "
    "referring to them, taken instead of the computed ones"
)


_PATIENTS = (
    "Who is who, where anonymised files carry one identity for all: a pattern of file "
    "names such as {patient}_* or {patient}/*, or a column of the table"
)


class PrepareOptions(QWidget):
    """Folded to one line until it is opened; left alone it changes nothing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.crop = combo("Keep only the box around it, with 20 mm to spare")
        for text, choice in _CROPS:
            self.crop.addItem(text, choice)
        self.store = combo("How voxels lie on the disk")
        for text, choice in _STORES:
            self.store.addItem(text, choice)
        self._usual_size = PrepareConfig().radiograph_size
        self.radiograph_size = QSpinBox()
        self.radiograph_size.setRange(8, 4096)
        self.radiograph_size.setSingleStep(128)
        self.radiograph_size.setValue(self._usual_size)
        self.radiograph_size.setSuffix(" pixels")
        self.radiograph_size.setToolTip("Long side of a prepared radiograph")
        self.masks = QLineEdit()
        self.masks.setPlaceholderText("computed")
        self.masks.setToolTip(_MASKS)
        self.patient_from = QLineEdit()
        self.patient_from.setPlaceholderText("as the files state them")
        self.patient_from.setToolTip(_PATIENTS)
        self.masks_button = button("Browse…", self.ask_masks, _MASKS)
        body = QWidget()
        inner = QVBoxLayout(body)
        inner.setContentsMargins(12, 0, 0, 4)
        inner.setSpacing(4)
        for text, field in (
            ("Crop", self.crop),
            ("Store", self.store),
            ("Radiographs", self.radiograph_size),
            ("Patients", self.patient_from),
        ):
            inner.addWidget(labelled(text, field, width=_WIDTH))
        masks = labelled("Lung masks", self.masks, width=_WIDTH)
        inner.addWidget(row(masks, self.masks_button, stretch=0))
        self.head = fold("Advanced", body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.head)
        layout.addWidget(body)

    def ask_masks(self) -> None:
        """Let the user choose the folder of lung masks."""
        chosen = QFileDialog.getExistingDirectory(self, "Folder of lung masks")
        if chosen:
            self.masks.setText(chosen)

    def forget_masks(self) -> None:
        """Compute lung masks again: the given ones are of other scans."""
        self.masks.clear()

    def arguments(self) -> list[str]:
        """Return options of ``scanlearn prepare``: those that were changed."""
        made = []
        for box, option in ((self.crop, "--crop"), (self.store, "--store")):
            if box.currentIndex():
                made += [option, str(box.currentData())]
        if self.patient_from.text().strip():
            made += ["--patient-from", self.patient_from.text().strip()]
        size = self.radiograph_size.value()
        if size != self._usual_size:
            made += ["--radiograph-size", str(size)]
        if self.masks.text().strip():
            folder = Path(self.masks.text().strip()).expanduser()
            made += ["--lung-masks", str(folder)]
        return made
