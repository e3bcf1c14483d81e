"""The Scans dock: open scans, look at them, check them, make a cohort of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QWidget

from scanlearn.gui.kit.background import Failure, connect_while_alive
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.progress_row import ProgressRow
from scanlearn.gui.kit.widgets import button, gate, hint, page, row, rule
from scanlearn.gui.scans.check_table import CheckTable
from scanlearn.gui.scans.drop import CanvasDrop
from scanlearn.gui.scans.exclusion import Excluder, source_of_entry
from scanlearn.gui.scans.listed_scan import ListedScan
from scanlearn.gui.scans.lung_pictures import LungPictures
from scanlearn.gui.scans.open_row import OpenRow
from scanlearn.gui.scans.picture_reader import PictureReader
from scanlearn.gui.scans.prepare_form import PrepareForm
from scanlearn.gui.scans.scan_list import ScanList
from scanlearn.gui.scans.scan_reader import ScanReader
from scanlearn.gui.scans.scan_search import ScanSearch
from scanlearn.gui.scans.scan_summary import summary
from scanlearn.gui.scans.try_it import TryIt
from scanlearn.gui.scans.volume_choice import VolumeChoice
from scanlearn.gui.shared.session import remember, remembered_folder
from scanlearn.gui.shared.state import count_scans, shared_state
from scanlearn.gui.viewer.file_layers import is_uneven
from scanlearn.gui.viewer.orientation import show_orientation
from scanlearn.gui.viewer.view_bar import ViewBar
from scanlearn.scans.scan import ScanEntry

_WELCOME = (
    "Open a folder of CT or MR scans (DICOM or NIfTI); folders inside it are searched "
    "too."
)


class ScansDock(QWidget):
    """From files to layers and to a cohort."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.state = shared_state()
        self.opener = OpenRow()
        self.welcome = hint(_WELCOME)
        self.try_it = TryIt(napari_viewer)
        self.list = ScanList()
        self.progress = ProgressRow()
        self.summary = hint()
        self.news = hint()
        self.checks = CheckTable()
        self.add_button = button(
            "Add to viewer",
            self.add_chosen,
            "Show the selected scans in napari; dragging them there does the same",
        )
        self.exclude_button = button("Exclude", self.exclude_or_include)
        self.volume = VolumeChoice()
        self.notice = Notice()
        self.form = PrepareForm()
        self.lungs = LungPictures()
        self.search = ScanSearch(self)
        self.reader = ScanReader(napari_viewer, self)
        self.pictures = PictureReader(self.list)
        self.excluder = Excluder(self.list, self)
        self.drop = CanvasDrop(self, self.add_rows)
        self._bar = ViewBar(napari_viewer)
        self.windows, self.views = self._bar.windows, self._bar.views
        self._path: Path | None = None
        self._lay_out()
        self._connect()
        self._show_scans([])
        before = remembered_folder("scans")
        if before is not None:
            self.open_path(before)

    def _lay_out(self) -> None:
        layout = page(self)
        for widget in (
            self.opener,
            self.notice,
            self.welcome,
            self.try_it,
            self.list,
            self.progress,
            self.summary,
            self.checks,
            self.volume,
            row(self.add_button, self.exclude_button),
            self._bar,
            rule(),
            self.form,
            self.news,
            self.lungs,
        ):
            layout.addWidget(widget)
        layout.setStretchFactor(self.list, 6)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.opener.chosen.connect(self.open_path)
        self.opener.sample_wanted.connect(self.write_sample)
        self.try_it.failed.connect(self.notice.show_failure)
        events = self.viewer.layers.events
        for emitter in (events.inserted, events.removed):
            connect_while_alive(self, emitter, self._refresh)
        self.list.selection_changed.connect(self._refresh)
        self.list.selection_changed.connect(
            lambda: self.lungs.show_lines(self.list.chosen_rows())
        )
        self.lungs.wanted.connect(lambda line: self.list.select_rows([line]))
        self.lungs.failed.connect(self.notice.show_failure)
        self.search.progressed.connect(self._searches)
        self.search.found.connect(self._found)
        self.search.written.connect(self.open_path)
        self.search.failed.connect(self.notice.show_failure)
        self.search.ended.connect(self._rest)
        self.pictures.failed.connect(self.notice.show_failure)
        self.pictures.found.connect(self._learned)
        self.list.doubleClicked.connect(lambda index: self.add_rows([index.row()]))
        self.checks.scans_chosen.connect(self.list.select_rows)
        self.checks.checked.connect(self._checked)
        self.checks.failed.connect(self.notice.show_failure)
        self.progress.cancelled.connect(self.cancel)
        self.reader.progressed.connect(self.progress.show_progress)
        self.reader.failed.connect(self._failed)
        self.reader.ended.connect(self._read)
        self.excluder.shown.connect(self._show_remarks)
        self.excluder.changed.connect(self._changed)
        self.excluder.failed.connect(self._failed)
        self.form.started.connect(self._prepares)
        self.form.failed.connect(self.notice.show_failure)
        self.form.prepared.connect(self._prepared)
        self.form.name.editingFinished.connect(self._look_up_cohort)

    def showEvent(self, event: Any) -> None:
        """Watch the canvas of the window that the dock is now in."""
        super().showEvent(event)
        window = self.window()
        if window is not None:
            self.drop.watch(window)

    def open_path(self, path: Path) -> None:
        """List the scans of a folder or file, with what their headers tell."""
        self.cancel()
        self.notice.clear()
        self._path = path
        remember(scans=str(path.absolute()))
        self._show_scans([])
        self.form.set_input(None, 0)
        self.form.set_uneven(0)
        self.news.clear()
        self.welcome.setVisible(False)
        self.search.find(path)

    def write_sample(self) -> None:
        """Write the sample scans, once, and open them."""
        self.notice.clear()
        self.search.write_sample()

    def cancel(self) -> None:
        """End searching and reading; what is listed and shown already stays."""
        self.search.cancel()
        if self.reader.busy:
            self.reader.cancel()
        self._rest()

    def add_chosen(self) -> None:
        """Read the selected scans and show them."""
        self.add_rows(self.list.chosen_rows())

    def add_rows(self, rows: list[int]) -> None:
        """Read some of the listed scans and show them; of uneven ones it is asked."""
        scans = [self.list.scans[n] for n in rows if n < self.list.count()]
        good = [self.volume.chosen(scan.entry) for scan in scans if scan.is_scan]
        for entry in good:
            if is_uneven(entry) is None:
                self.reader.read(entry)
        for scan in scans:
            if scan.is_label_map:
                self.reader.read_labels(scan.entry)
        uneven = [entry for entry in good if is_uneven(entry) is not None]
        if uneven:
            self._ask_uneven(uneven)

    def exclude_or_include(self) -> None:
        """Leave the selected scans out of the cohort, or take them in again."""
        self.excluder.toggle(self.form.cohort, self.checks.reason.text().strip())

    def _ask_uneven(self, entries: list[ScanEntry]) -> None:
        def resample() -> None:
            for entry in entries:
                self.reader.read(entry, on_uneven="resample")

        problem = is_uneven(entries[0])
        assert problem is not None
        more = f" (and {len(entries) - 1} more)" if len(entries) > 1 else ""
        self.notice.say(
            f"{entries[0].path.name}{more}: {problem.text}. The slices between can be "
            "filled in from their neighbours; do not trust them like the others.",
            action=("Fill in and add", resample),
        )

    def _searches(self, title: str, done: int, total: int) -> None:
        self.progress.show_progress(title, done, total)
        self._refresh()

    def _found(self, scans: list[ListedScan]) -> None:
        self._show_scans(scans)
        self._count()
        self._look_up_cohort()

    def _count(self) -> None:
        """Say how many scans would be prepared, and how many of them are uneven."""
        good = [scan.entry for scan in self.list.scans if scan.is_scan]
        self.form.set_input(self._path, len(good))
        self.form.set_uneven(sum(is_uneven(entry) is not None for entry in good))

    def _learned(self) -> None:
        """Take in what the pictures told."""
        self._count()
        self._show_remarks()

    def _checked(self, rows: list[Any]) -> None:
        """Take in what reading all voxels told."""
        told = {(r.source, r.series, r.volume): r.problems for r in rows}
        scans = []
        for scan in self.list.scans:
            entry = scan.entry
            key = (entry.path, entry.series_uid, entry.volume)
            scans.append(replace(scan, problems=told.get(key, scan.problems)))
        self.list.update_scans(scans)
        self._learned()

    def _look_up_cohort(self) -> None:
        """Show what the named cohort has and leaves out already."""
        self.excluder.look_up(self.form.cohort)
        self.lungs.look_up(self.form.cohort, self.list.entries)

    def _show_scans(self, scans: list[ListedScan]) -> None:
        self.list.show_scans(scans)
        self.list.setVisible(bool(scans))
        self.welcome.setVisible(not scans)
        self.try_it.setVisible(not scans)
        self._show_remarks()

    def _show_remarks(self) -> None:
        scans = self.list.scans
        self.checks.show_scans(self._path if scans else None, scans)
        self.form.set_exclusions(
            {source_of_entry(s.entry): s.excluded for s in scans if s.excluded}
        )
        self._refresh()

    def _read(self) -> None:
        """After the last scan was read."""
        show_orientation(self.viewer)
        self._rest()

    def _rest(self) -> None:
        """Nothing is going on any more."""
        self.progress.setVisible(False)
        self.welcome.setVisible(not self.list.count())
        self._refresh()

    def _refresh(self) -> None:
        busy = "Something else is going on" if self.search.busy else ""
        gate(self.opener.sample_button, busy)
        nothing = (
            "Select a scan in the list" if self.list.count() else "Open scans first"
        )
        chosen = self.list.chosen()
        gate(self.add_button, "" if chosen else nothing)
        self.volume.show_entry(chosen[0] if len(chosen) == 1 else None)
        rows = [self.list.scans[n] for n in self.list.chosen_rows()]
        left_out = [scan.excluded for scan in rows if not scan.entry.error]
        include = bool(left_out) and all(left_out)
        self.exclude_button.setText("Include again" if include else "Exclude")
        tip = "Trainings skip excluded scans; the catalogue says why"
        self.exclude_button.setProperty("tip", tip)
        busy = "Preparing is going on" if self.form.job.busy else ""
        gate(self.exclude_button, busy or ("" if chosen else nothing))
        self.summary.setText(summary(self.list.scans) if self.list.count() else "")
        self._bar.setVisible(any(layer.ndim == 3 for layer in self.viewer.layers))

    def _changed(self, cohort: Path) -> None:
        if cohort == self.state.cohort:
            self.state.cohorts_changed.emit()

    def _prepares(self) -> None:
        self.notice.clear()
        self.news.clear()
        self._refresh()

    def _prepared(self, cohort: Path, failed: list[str], told: list[str]) -> None:
        self._look_up_cohort()
        self.lungs.head.setChecked(True)
        self.news.setText(
            f"The cohort {cohort.name} holds {count_scans(cohort)} scans. "
            "Next: Pre\N{NON-BREAKING HYPHEN}train."
        )
        if failed:
            noun = "scan was" if len(failed) == 1 else "scans were"
            told = [*told, f"{len(failed)} {noun} not prepared. {failed[0]}"]
        if told:
            text = "\n".join(f"{one[0].upper()}{one[1:]}" for one in told)
            self.notice.say(text, details="\n".join([text, *failed]))
        self.state.choose_cohort(cohort)

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        if not self.reader.busy:
            self._rest()
