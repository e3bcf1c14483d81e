"""What people do with runs: name them, note, tag, and move them to the bin."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from scanlearn.gui.kit.amounts import size_text
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.durations import duration
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.settings import runs_folder
from scanlearn.gui.kit.widgets import button, fold, gate, hint, labelled
from scanlearn.gui.runs.bin import dependants, move_to_bin
from scanlearn.gui.runs.runs_table import clock
from scanlearn.gui.shared.run_list import RunRow, undated
from scanlearn.runs.about import About, parse_tags, read_about, write_about

_BROKEN = (
    "{names} start from what you move: their predictions go on as before, but they can "
    "no longer be resumed, compared or asked for similar scans."
)


class ManageSection(QWidget):
    """A section of the Runs dock for the selected runs, one or several.

    What is written in a field is kept as soon as the field is left.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.summary = hint()
        self.name, self.tags, self.note = QLineEdit(), QLineEdit(), QLineEdit()
        self.name.setToolTip("Shown in place of the folder's name, which stays")
        self.tags.setToolTip("Words to find runs by, divided by commas")
        self.note.setToolTip("Whatever you want to remember")
        self.bin_button = button(
            "Move to bin", self.ask, "The system's bin: runs can be taken back from it"
        )
        self.notice = Notice()
        self._runs: list[RunRow] = []
        self._all: tuple[RunRow, ...] = ()
        self._moving = False
        fields = QWidget()
        column = QVBoxLayout(fields)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(labelled("Name", self.name))
        column.addWidget(labelled("Tags", self.tags))
        column.addWidget(labelled("Note", self.note))
        column.addWidget(self.bin_button)
        self.fold = fold("Name, tags, note, bin", fields)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.summary, self.fold, fields, self.notice):
            layout.addWidget(widget)
        for field in (self.name, self.tags, self.note):
            field.editingFinished.connect(self.keep)

    def show_runs(self, runs: Sequence[RunRow], among: Sequence[RunRow]) -> None:
        """Manage these of all runs."""
        others = [run.path for run in runs] != [run.path for run in self._runs]
        self._runs, self._all = list(runs), tuple(among)
        if others:
            self.notice.clear()
            self._fill()
        self.setVisible(bool(among))
        self._refresh()

    def keep(self) -> None:
        """Write what the fields say, if it is something else than before."""
        for run in self._runs:
            before = read_about(run.path)
            said = self._said(run, before)
            if said != before:
                self._write(run.path, said)

    def ask(self) -> None:
        """Say what would go, and what would be broken; move on *Move*."""
        size = size_text(sum(run.disk_bytes for run in self._runs))
        text = f"Move {_names(self._runs)} ({size}) to the bin?"
        broken = dependants(self._all, [run.path for run in self._runs])
        if broken:
            text += " " + _BROKEN.format(names=_names(broken))
        self.notice.say(text, action=("Move", self.move_runs))

    def move_runs(self) -> None:
        """Move the selected runs to the bin."""
        paths = [run.path for run in self._runs]

        def work(_report: Report) -> None:
            move_to_bin(paths)

        self._moving = True
        in_background(self, work, done=lambda _: self._moved(), failed=self._failed)
        self._refresh()

    def _moved(self) -> None:
        self._moving = False
        self._refresh()
        self.changed.emit()

    def _failed(self, failure: Failure) -> None:
        self._moved()
        self.notice.show_failure(failure)

    def _write(self, run: Path, said: About) -> None:
        try:
            write_about(run, said)
        except OSError as error:
            self.notice.show_error(error)
        self.changed.emit()

    def _said(self, run: RunRow, before: About) -> About:
        tags = parse_tags(self.tags.text())
        if len(self._runs) > 1:  # these are added; the rest belongs to each
            return before.model_copy(update={"tags": parse_tags((*before.tags, *tags))})
        name = self.name.text().strip()
        # The name of the folder is no name that was given.
        name = "" if name == undated(run.name) else name
        return About(name=name, note=self.note.text().strip(), tags=tags)

    def _fill(self) -> None:
        one = self._runs[0] if len(self._runs) == 1 else None
        # From the disk: the list may not yet know what was written a moment ago.
        about = read_about(one.path) if one is not None else About()
        self.name.setText(about.name or (undated(one.name) if one is not None else ""))
        self.note.setText(about.note)
        self.tags.setText(", ".join(about.tags))
        self.tags.setPlaceholderText("added to all of them" if not one else "")
        for field in (self.name, self.note):
            field.setEnabled(one is not None)

    def _refresh(self) -> None:
        running = [run for run in self._runs if run.state == "running"]
        missing = "" if self._runs else "Select runs first"
        if running:
            missing = f"{_names(running)} is going on: stop it first"
        gate(self.bin_button, "Runs are being moved" if self._moving else missing)
        self.summary.setText(" · ".join(_facts(self._runs, self._all)))


def _names(runs: Sequence[RunRow]) -> str:
    shown = ", ".join(run.title for run in runs[:3])
    return f"{shown} and {len(runs) - 3} more" if len(runs) > 3 else shown


def _facts(runs: Sequence[RunRow], among: Sequence[RunRow]) -> list[str]:
    """Return what the selected runs took, and the room that is left."""
    facts = [f"{len(runs)} of {len(among)} runs"]
    seconds = sum(run.seconds for run in runs)
    if seconds:
        facts.append(f"trained {duration(seconds)}")
    facts += [f"till about {clock(r.ends_at)}" for r in runs if r.ends_at is not None]
    facts.append(size_text(sum(run.disk_bytes for run in runs)))
    folder = runs_folder()
    if folder.exists():
        facts.append(f"{size_text(shutil.disk_usage(folder).free)} free")
    return facts
