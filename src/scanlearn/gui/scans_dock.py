"""The Scans dock: open scans, look at them, make a cohort of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QFileDialog, QWidget

from scanlearn.gui.background import (
    Failure,
    Report,
    follow_in_background,
    in_background,
)
from scanlearn.gui.layers import LayerData
from scanlearn.gui.notice import Notice
from scanlearn.gui.opening import patient_of, read_entry
from scanlearn.gui.orientation import show_orientation
from scanlearn.gui.prepare_form import PrepareForm
from scanlearn.gui.scan_list import ScanList, summary
from scanlearn.gui.settings import sample_folder
from scanlearn.gui.state import count_scans, shared_state
from scanlearn.gui.thumbnails import thumbnails
from scanlearn.gui.view_bar import view_bar
from scanlearn.gui.widgets import button, gate, hint, page, row, rule
from scanlearn.scans.scan import ScanEntry

_WELCOME = (
    "Open a folder of CT or MR scans (DICOM or NIfTI); folders inside it are searched "
    "too. No scans at hand? <b>Sample</b> writes a few artificial chest CTs."
)

_FILES = "Scans (*.dcm *.nii *.nii.gz *.nrrd *.mha *.mhd *.png *.jpg *.tif);;All (*)"

Found = tuple[list[ScanEntry], list[str]]


class ScansDock(QWidget):
    """From files to layers and to a cohort."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.state = shared_state()
        self.folder_button = button("Open folder…", self.ask_folder)
        self.file_button = button("Open file…", self.ask_file)
        self.sample_button = button(
            "Sample", self.write_sample, "Write artificial chest CTs and open them"
        )
        self.welcome = hint(_WELCOME)
        self.list = ScanList()
        self.summary = hint()
        self.add_button = button(
            "Add to viewer", self.add_chosen, "Show the selected scans in napari"
        )
        self.notice = Notice()
        self._making = False
        self.form = PrepareForm()
        self._bar, self.windows, self.views = view_bar(napari_viewer)
        self._lay_out()
        self._connect()
        self._show_entries([], [])

    def _lay_out(self) -> None:
        layout = page(self)
        layout.addWidget(row(self.folder_button, self.file_button, self.sample_button))
        for widget in (
            self.notice,
            self.welcome,
            self.list,
            self.summary,
            self.add_button,
            self._bar,
            rule(),
            self.form,
        ):
            layout.addWidget(widget)
        layout.setStretchFactor(self.list, 6)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.list.itemSelectionChanged.connect(self._refresh)
        self.list.itemDoubleClicked.connect(lambda _item: self.add_chosen())
        self.form.started.connect(self.notice.clear)
        self.form.failed.connect(self.notice.show_failure)
        self.form.prepared.connect(self._prepared)

    def ask_folder(self) -> None:
        """Let the user choose a folder."""
        chosen = QFileDialog.getExistingDirectory(self, "Folder of scans")
        if chosen:
            self.open_path(Path(chosen))

    def ask_file(self) -> None:
        """Let the user choose a file."""
        chosen, _ = QFileDialog.getOpenFileName(self, "Scan", filter=_FILES)
        if chosen:
            self.open_path(Path(chosen))

    def open_path(self, path: Path) -> None:
        """List the scans of a folder or file."""
        self.notice.clear()
        self._show_entries([], [])
        self.form.set_input(None, 0)
        self.welcome.setVisible(False)
        self.summary.setText(f"Looking for scans in {path.name}…")

        def work(report: Report) -> Found:
            from scanlearn.scans.find import find_scans

            entries = find_scans(path, progress=report)
            return entries, [patient_of(entry) for entry in entries]

        in_background(
            self,
            work,
            done=partial(self._found, path),
            failed=self._failed,
            progressed=self._looked,
        )

    def write_sample(self) -> None:
        """Write the sample scans, once, and open them."""
        folder = sample_folder()
        if any(folder.glob("*")):
            self.open_path(folder / "scans")
            return
        self.notice.clear()
        self.summary.setText("Making artificial chest CTs…")
        self._making = True
        self._refresh()

        def work(report: Report) -> Path:
            from scanlearn.phantom.sample import write_sample

            return write_sample(folder, progress=report)

        in_background(
            self,
            work,
            done=self._sample_written,
            failed=self._failed,
            progressed=self._made,
        )

    def add_chosen(self) -> None:
        """Read the selected scans and show them."""
        for entry in self.list.chosen():
            self.add_entry(entry)

    def add_entry(self, entry: ScanEntry) -> None:
        """Read one scan off the main thread and show it."""
        self.summary.setText(f"Reading {entry.path.name}…")

        def work(_report: Report) -> LayerData:
            return read_entry(entry)

        in_background(self, work, done=self._add, failed=self._failed)

    def _add(self, layer: LayerData) -> None:
        data, settings, _kind = layer
        self.viewer.add_image(data, **settings)
        show_orientation(self.viewer)
        self._refresh()
        self.summary.setText(summary(self.list.entries))

    def _made(self, done: int, total: int) -> None:
        self.summary.setText(f"Making artificial chest CTs: {done} of {total}")

    def _sample_written(self, folder: Path) -> None:
        self._making = False
        self.open_path(folder / "scans")

    def _looked(self, done: int, total: int) -> None:
        self.summary.setText(f"Reading headers: {done:,} of {total:,} files")

    def _found(self, path: Path, found: Found) -> None:
        entries, patients = found
        self._show_entries(entries, patients)
        self.form.set_input(path, sum(1 for entry in entries if not entry.error))
        follow_in_background(
            self,
            "thumbnails",
            lambda: thumbnails(entries),
            received=partial(self._pictures, tuple(entries)),
            failed=self.notice.show_failure,
        )

    def _pictures(
        self,
        entries: tuple[ScanEntry, ...],
        pictures: list[tuple[int, NDArray[np.uint8]]],
    ) -> None:
        if self.list.entries == entries:  # not of a folder opened before
            for index, picture in pictures:
                self.list.show_picture(index, picture)

    def _show_entries(self, entries: list[ScanEntry], patients: list[str]) -> None:
        self.list.show_scans(entries, patients)
        self.list.setVisible(bool(entries))
        self.welcome.setVisible(not entries)
        self.summary.setText(summary(entries) if entries else "")
        self._refresh()

    def _refresh(self) -> None:
        busy = "The sample scans are being made" if self._making else ""
        gate(self.sample_button, busy)
        chosen = len(self.list.chosen())
        nothing = (
            "Select a scan in the list" if self.list.entries else "Open scans first"
        )
        gate(self.add_button, "" if chosen else nothing)
        self._bar.setVisible(any(layer.ndim == 3 for layer in self.viewer.layers))

    def _prepared(self, cohort: Path) -> None:
        self.summary.setText(
            f"The cohort {cohort.name} holds {count_scans(cohort)} scans. "
            "Next: Pre-train."
        )
        self.state.choose_cohort(cohort)

    def _failed(self, failure: Failure) -> None:
        self._making = False
        self.welcome.setVisible(not self.list.entries)
        self.summary.setText(summary(self.list.entries) if self.list.entries else "")
        self.notice.show_failure(failure)
        self._refresh()
