"""Saving a prediction: which formats, where to, and what was read again."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QGridLayout, QVBoxLayout, QWidget

from scanlearn.files import UNFINISHED
from scanlearn.gui.kit.background import Failure
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.settings import under_home
from scanlearn.gui.kit.widgets import button, gate, hint
from scanlearn.gui.viewer.layers import Origin
from scanlearn.prediction.review import why_not
from scanlearn.prediction.summary import SUMMARY, Format, Prediction
from scanlearn.runs.events import Finished

_FORMATS: dict[Format, tuple[str, str]] = {
    "nifti": ("NIfTI", "Labels, probabilities and other maps in the scan's own grid"),
    "dicom-seg": ("DICOM-SEG", "A segmentation that refers to the scan's slices"),
    "tables": (
        "CSV tables",
        "Volumes, densities, probabilities: whatever the task counts",
    ),
    "figures": ("PNG figures", "A few slices, or the image and its map, with a legend"),
}

_NONE_CHOSEN = "Tick a format first"


class SaveSection(QWidget):
    """Formats to tick, *Save…*, and "Saved" once every file was read again."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.formats: dict[Format, QCheckBox] = {}
        for wanted, (name, tip) in _FORMATS.items():
            box = QCheckBox(name)
            box.setToolTip(tip)
            box.setChecked(wanted in ("nifti", "tables"))
            box.toggled.connect(self._refresh)
            self.formats[wanted] = box
        self.save_button = button(
            "Save…", self.save, "Choose a folder; every file is read again"
        )
        self.job = JobRow()
        self.notice = Notice()
        self.saved = hint()
        self._prediction: Prediction | None = None
        self._origin: Origin | None = None
        self._folder = Path()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        boxes = QGridLayout()
        for place, box in enumerate(self.formats.values()):
            boxes.addWidget(box, place // 2, place % 2)
        layout.addLayout(boxes)
        for widget in (
            self.save_button,
            self.job,
            self.notice,
            self.saved,
        ):
            layout.addWidget(widget)
        self.job.finished.connect(self._saved)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._cancelled)

    def show_prediction(
        self, prediction: Prediction | None, origin: Origin | None
    ) -> None:
        """Offer to save a prediction on the scan it was made from; None hides all."""
        self._prediction, self._origin = prediction, origin
        self.saved.setVisible(False)
        self.notice.clear()
        self.setVisible(prediction is not None)
        self.offer_formats()

    def offer_formats(self) -> None:
        """Offer what the result can be saved in; a review of findings changes it."""
        if self._prediction is not None:
            for wanted, box in self.formats.items():
                missing = why_not(self._prediction, wanted)
                box.setEnabled(not missing)
                box.setToolTip(missing or _FORMATS[wanted][1])
        self._refresh()

    def chosen(self) -> list[Format]:
        """Return the formats that are ticked and possible."""
        boxes = self.formats.items()
        return [name for name, box in boxes if box.isChecked() and box.isEnabled()]

    def save(self) -> None:
        """Let the user choose a folder, and save there."""
        chosen = QFileDialog.getExistingDirectory(self, "Save the result in")
        if chosen:
            self.save_to(Path(chosen))

    def save_to(self, folder: Path) -> None:
        """Write the chosen formats in a process of its own."""
        prediction, origin = self._prediction, self._origin
        assert prediction is not None
        assert origin is not None
        self.notice.clear()
        self.saved.setVisible(False)
        self._folder = folder
        summary = prediction.folder / f"{prediction.scan}{SUMMARY}"
        arguments = ["export", str(summary), str(origin.source), "--out", str(folder)]
        arguments += [f"--{wanted}" for wanted in self.chosen()]
        if origin.series:
            arguments += ["--series", origin.series]
        self.job.start(arguments, f"Saving in {under_home(folder)}")
        self._refresh()

    def _saved(self, events: list[object]) -> None:
        last = events[-1]
        count = last.step if isinstance(last, Finished) else 0
        noun = "file" if count == 1 else "files"
        place = under_home(self._folder)
        self.saved.setText(f"Saved and read again: {count} {noun} in {place}")
        self.saved.setVisible(True)
        self._refresh()

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._refresh()

    def _cancelled(self) -> None:
        """Take away what the job was writing when it ended; whole files stay."""
        assert self._prediction is not None
        for file in self._folder.glob(UNFINISHED + self._prediction.scan + "_*"):
            file.unlink(missing_ok=True)
        self._refresh()

    def _refresh(self) -> None:
        missing = "" if self.chosen() else _NONE_CHOSEN
        gate(self.save_button, "Saving is going on" if self.job.busy else missing)
        self.changed.emit()
