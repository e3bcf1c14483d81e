"""Predicting on many scans: a folder or a cohort, and a table of what was found."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.settings import results_folder
from scanlearn.gui.kit.widgets import (
    TABLE_FILES,
    button,
    combo,
    fill,
    gate,
    hint,
    labelled,
    row,
)
from scanlearn.gui.predict.batch_results import ResultRow, open_result, read_rows
from scanlearn.gui.predict.batch_table import BatchTable
from scanlearn.gui.predict.model_choice import ModelChoice
from scanlearn.gui.shared.state import count_scans, shared_state
from scanlearn.prediction.overview import all_columns
from scanlearn.prediction.summary import Prediction
from scanlearn.runs.events import Message
from scanlearn.scans.tables.results import write_results

#: How often new results are looked for while they are made.
_LOOK_MILLISECONDS = 2000

_ABOUT = (
    "Every result is kept as it is made: after a stop, Predict on all goes on with the "
    "scans that are left."
)


class BatchSection(QWidget):
    """Which scans, *Predict on all*, and the table.

    Parameters
    ----------
    models
        Where the model is chosen.
    options
        Gives what else the dock asks for, as arguments of a prediction.
    """

    #: An :class:`scanlearn.gui.predict.batch_results.OpenedResult` to show.
    opened = Signal(object)

    def __init__(
        self,
        models: ModelChoice,
        options: Callable[[], list[str]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.models, self.options = models, options
        self.state = shared_state()
        self.scans = combo("A prepared cohort, or a folder of scans")
        self.browse_button = button("Folder…", self.browse, "Scans in a folder")
        self.predict_button = button(
            "Predict on all", self.predict, "In the background, scan after scan"
        )
        self.job, self.notice, self.count = JobRow(), Notice(), hint()
        self.table = BatchTable()
        self.open_button = button("Open", self.open, "Shows the chosen scan and result")
        self.export_button = button("Export table…", self.export, "As CSV")
        self.rows: dict[str, ResultRow] = {}
        self._folders: list[Path] = []
        self._asked: tuple[Path, Path] | None = None
        self._looking = self._opening = False
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MILLISECONDS)
        self._lay_out()
        self._connect()
        self._show_sources()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            hint(_ABOUT),
            labelled("Scans", row(self.scans, self.browse_button, stretch=0)),
            self.predict_button,
            self.job,
            self.notice,
            self.count,
            self.table,
            row(self.open_button, self.export_button),
        ):
            layout.addWidget(widget)

    def _connect(self) -> None:
        self._timer.timeout.connect(self._look)
        self.state.cohorts_changed.connect(self._show_sources)
        self.scans.currentIndexChanged.connect(self._begin)
        self.models.changed.connect(self._begin)
        self.job.finished.connect(self._finished)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._ended)
        self.table.itemSelectionChanged.connect(self._refresh)
        self.table.itemDoubleClicked.connect(lambda _item: self.open())

    @property
    def source(self) -> Path | None:
        """The chosen cohort or folder."""
        found = self.scans.currentData()
        return found if isinstance(found, Path) else None

    @property
    def out(self) -> Path | None:
        """Where its results are kept, of the chosen model."""
        model, source = self.models.path, self.source
        if model is None or source is None:
            return None
        digest = blake2b(str(source).encode(errors="surrogateescape"), digest_size=4)
        return results_folder() / model.name / f"{source.name}_{digest.hexdigest()}"

    def browse(self) -> None:
        """Let the user choose a folder of scans."""
        chosen = QFileDialog.getExistingDirectory(self, "Folder of scans")
        if chosen:
            self.choose_folder(Path(chosen))

    def choose_folder(self, folder: Path) -> None:
        """Offer a folder of scans, and choose it."""
        self._folders = [folder, *(one for one in self._folders if one != folder)]
        self._show_sources(folder)

    def predict(self) -> None:
        """Predict on all scans in a process of its own; those that are there stay."""
        model, source, out = self.models.path, self.source, self.out
        assert model is not None
        assert source is not None
        assert out is not None
        self.notice.clear()
        arguments = ["predict", str(model), str(source), "--out", str(out), "--resume"]
        self.job.start([*arguments, *self.options()], f"Predicting on {source.name}")
        self._timer.start()
        self._refresh()

    def open(self) -> None:
        """Show the scan of the chosen line, and its result over it."""
        found, source = self.rows.get(self.table.chosen), self.source
        if found is None or source is None or self._opening:
            return
        self.notice.clear()
        self._opening = True
        self._refresh()

        def work(_report: Report) -> Any:
            return open_result(found.prediction, source)

        in_background(self, work, done=self._opened, failed=self._not_opened)

    def look_again(self, prediction: Prediction) -> None:
        """Read a result anew, such as after a decision about its findings."""
        if self._asked is not None and prediction.folder == self._asked[1]:
            self.rows.pop(prediction.scan, None)
            self._look()

    def export(self) -> None:
        """Let the user choose a file for the table."""
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Table of results", "results.csv", filter=TABLE_FILES
        )
        if chosen:
            self.export_to(Path(chosen))

    def export_to(self, file: Path) -> None:
        """Write the table as it is sorted, read again before it counts."""
        columns = all_columns(one.cells for one in self.rows.values())
        found = [self.rows[name] for name in self.table.names()]
        blank = dict.fromkeys(columns)
        lines = [blank | {"scan": one.prediction.scan} | one.cells for one in found]
        try:
            write_results(file, ["scan", *columns], lines)
        except (OSError, ScanlearnError) as error:
            self.notice.show_error(error)

    def _show_sources(self, chosen: Path | None = None) -> None:
        cohorts = self.state.cohorts()
        items: list[tuple[str, object]] = [
            (f"{f.name} · folder", f) for f in self._folders
        ]
        items += [(f"{c.name} · {count_scans(c)} scans", c) for c in cohorts]
        none: list[tuple[str, object]] = [("none yet: choose a folder", None)]
        fill(self.scans, items or none, chosen or self.source)
        self._begin()

    def _begin(self, _changed: object = None) -> None:
        """Show what is there already of the chosen model and scans."""
        out, model = self.out, self.models.path
        asked = (model, out) if model is not None and out is not None else None
        if asked != self._asked and not self.job.busy:
            self._asked, self.rows = asked, {}
            self._show_table()
            self._look()
        self._refresh()

    def _look(self) -> None:
        out, known = self._asked[1] if self._asked else None, set(self.rows)
        if self._looking or out is None:
            return
        self._looking = True

        def work(_report: Report) -> tuple[Path, list[ResultRow]]:
            return out, read_rows(out, known)

        in_background(self, work, done=self._seen, failed=self._unseen)

    def _seen(self, seen: tuple[Path, list[ResultRow]]) -> None:
        self._looking = False
        out, new = seen
        if self._asked is None or out != self._asked[1]:
            self._look()  # another model was chosen meanwhile
        elif new:
            self.rows |= {one.prediction.scan: one for one in new}
            self._show_table()

    def _unseen(self, failure: Failure) -> None:
        self._looking = False
        self._timer.stop()
        self.notice.show_failure(failure)

    def _show_table(self) -> None:
        found = list(self.rows.values())
        self.table.show_rows(found, all_columns(one.cells for one in found))
        for widget in (self.table, self.open_button, self.export_button):
            widget.setVisible(bool(found))
        count = len(found)
        self.count.setText(f"{count} scan{'s' * (count != 1)} done" if count else "")
        self.count.setVisible(bool(count))
        self._refresh()

    def _finished(self, events: list[Any]) -> None:
        told = [
            e.text for e in events if isinstance(e, Message) and e.severity == "warning"
        ]
        if told:
            more = f" And {len(told) - 1} more." if len(told) > 1 else ""
            self.notice.say(f"{told[0]}{more}", details="\n".join(told))
        self._ended()

    def _failed(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._ended()

    def _ended(self) -> None:
        self._timer.stop()
        self.rows = {}  # some were made anew
        self._look()
        self._refresh()

    def _opened(self, result: Any) -> None:
        self._opening = False
        self._refresh()
        self.opened.emit(result)

    def _not_opened(self, failure: Failure) -> None:
        self._opening = False
        self.notice.show_failure(failure)
        self._refresh()

    def _refresh(self) -> None:
        missing = ""
        if self.models.path is None:
            missing = "Fine-tune a model first"
        elif self.source is None:
            missing = "Choose a folder of scans first"
        elif self.job.busy:
            missing = "Scans are predicted on"
        gate(self.predict_button, missing)
        self.predict_button.setText("Go on" if self.rows else "Predict on all")
        for one in (self.scans, self.browse_button, self.models):
            one.setEnabled(not self.job.busy)
        opening = "The scan is being read" if self._opening else ""
        chosen = "" if self.table.chosen else "Choose a line first"
        gate(self.open_button, opening or chosen)
