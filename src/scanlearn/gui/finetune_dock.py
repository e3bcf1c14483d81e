"""The Fine-tune dock: from a few labels to a model of one's own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.background import (
    Failure,
    Report,
    connect_while_alive,
    in_background,
)
from scanlearn.gui.class_table import ClassTable
from scanlearn.gui.cohort_box import CohortBox
from scanlearn.gui.finetuning import Finetuning, config_of, start_finetuning
from scanlearn.gui.labelled_list import LabelledList
from scanlearn.gui.labels_io import Amount, Painted, amount, snapshot
from scanlearn.gui.methods import TASKS
from scanlearn.gui.notice import Notice
from scanlearn.gui.pace_line import PaceLine
from scanlearn.gui.painting import (
    chosen_labels,
    new_labels,
    recolour,
    shown_scan,
)
from scanlearn.gui.plan_box import PlanBox
from scanlearn.gui.run_list import RunRow
from scanlearn.gui.run_slot import RunSlot
from scanlearn.gui.settings import runs_folder
from scanlearn.gui.settings_form import SettingsForm
from scanlearn.gui.state import shared_state
from scanlearn.gui.widgets import (
    button,
    combo,
    fill,
    gate,
    heading,
    hint,
    labelled,
    page,
    primary,
    row,
)
from scanlearn.runs import RunFolder
from scanlearn.runs.folder import new_run_path

_PAINT = (
    "Paint a few slices of a few scans; what you leave unpainted in other slices is "
    "ignored, not taken for background."
)


class FinetuneDock(QWidget):
    """Task, start, classes, labelled scans, Fine-tune, and the card of what runs."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.state = shared_state()
        self.tasks = combo("What the model shall do")
        items: list[tuple[str, object]] = [(t.title, n) for n, t in TASKS.items()]
        fill(self.tasks, items, None)
        self.starts = combo("Whose encoder the model starts from")
        self.cohorts = CohortBox()
        self.classes = ClassTable()
        self.labels = LabelledList()
        self.new_button = button(
            "New label layer", self.new_layer, "An empty layer on the shown scan's grid"
        )
        self.use_button = button(
            "Use this layer", self.use_layer, "Take the selected Labels layer as it is"
        )
        self.browse_button = button(
            "Browse…", self.browse, "A folder of NIfTI masks named like the scans"
        )
        self.form = SettingsForm()
        self.plan = PlanBox(PaceLine(config_of, start_finetuning))
        self.start_button = primary(
            "Fine-tune", self.start, "Train in the background on these labels"
        )
        self.missing = hint()
        self.notice = Notice()
        self.slot = RunSlot("finetune")
        self._starting = False
        self._lay_out()
        self._connect()
        self.form.show_recipe(self.task, TASKS[self.task])
        self._show_starts(self.state.runs.rows)

    def _lay_out(self) -> None:
        layout = page(self)
        layout.addWidget(labelled("Task", self.tasks))
        layout.addWidget(labelled("Start from", self.starts))
        layout.addWidget(labelled("Cohort", self.cohorts))
        layout.addWidget(heading("Classes"))
        layout.addWidget(self.classes)
        layout.addWidget(heading("Labelled scans"))
        layout.addWidget(hint(_PAINT))
        layout.addWidget(self.labels)
        layout.addWidget(row(self.new_button, self.use_button, self.browse_button))
        for widget in (
            self.form,
            self.plan,
            self.start_button,
            self.missing,
            self.notice,
            self.slot,
        ):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.tasks.currentIndexChanged.connect(
            lambda _index: self.form.show_recipe(self.task, TASKS[self.task])
        )
        self.state.runs.changed.connect(self._show_starts)
        self.cohorts.chosen.connect(self._refresh)
        self.cohorts.failed.connect(self.notice.show_error)
        self.classes.changed.connect(self._classes_changed)
        self.labels.changed.connect(self._refresh)
        self.slot.changed.connect(self._refresh)
        self.slot.changed.connect(self.plan.pace.look_again)
        self.form.changed.connect(self._refresh)
        self.starts.currentIndexChanged.connect(self._refresh)
        layers = self.viewer.layers
        for emitter in (
            layers.events.inserted,
            layers.events.removed,
            layers.selection.events.active,
        ):
            connect_while_alive(self, emitter, self._refresh)

    @property
    def task(self) -> str:
        """Name of the chosen task."""
        return str(self.tasks.currentData())

    def new_layer(self) -> None:
        """Add an empty label layer over the shown scan."""
        self._try(lambda: new_labels(self.viewer, self.classes.classes()))

    def use_layer(self) -> None:
        """Take the chosen Labels layer into the list of labelled scans."""
        self._try(self._use_layer)

    def browse(self) -> None:
        """Let the user choose a folder of masks."""
        chosen = QFileDialog.getExistingDirectory(self, "Folder of masks")
        if chosen:
            self.labels.add(Path(chosen))

    def start(self) -> None:
        """Write labels and run, and launch its worker."""
        cohort = self.cohorts.cohort
        assert cohort is not None
        self.notice.clear()
        self.plan.pace.cancel()
        self._starting = True
        self._refresh()
        path = new_run_path(runs_folder(), f"{self.task}_{cohort.name}")
        in_background(
            self,
            partial(start_finetuning, replace(self._asked(cohort), path=path)),
            done=self._started,
            failed=self._failed,
        )

    def _asked(self, cohort: Path) -> Finetuning:
        return Finetuning(
            path=Path(),
            cohort=cohort,
            task=self.task,
            preset=self.form.preset,
            start_from=self.starts.currentData(),
            changes=self.form.changes(),
            classes=self._classes(),
            painted=tuple(self.labels.painted()),
            masks=self.labels.folder(),
        )

    def _use_layer(self) -> None:
        layer = chosen_labels(self.viewer)
        assert layer is not None
        painted = snapshot(layer)

        def work(_report: Report) -> tuple[Painted, Amount]:
            return painted, amount(painted)

        in_background(self, work, done=self._used, failed=self._failed)

    def _classes(self) -> dict[int, str]:
        """Return the classes; none, so that the masks' own count, if none is named."""
        untouched = not any(
            field.text().strip() for field in self.classes.names.values()
        )
        return {} if untouched and self.labels.folder() else self.classes.classes()

    def _used(self, source: tuple[Painted, Amount]) -> None:
        self.classes.include(source[1].values, source[0].classes)
        self.labels.add(source)

    def _try(self, action: Any) -> None:
        self.notice.clear()
        try:
            action()
        except ScanlearnError as error:
            self.notice.show_error(error)

    def _started(self, run: RunFolder) -> None:
        self._starting = False
        self.slot.show_run(run)
        self.state.select_run(run.path)

    def _failed(self, failure: Failure) -> None:
        self._starting = False
        self.notice.show_failure(failure)
        self._refresh()

    def _show_starts(self, rows: tuple[RunRow, ...]) -> None:
        before = self.starts.currentData()
        ready = [r for r in rows if r.kind == "pretrain" and r.has_model]
        items: list[tuple[str, object]] = [(r.title, r.path) for r in ready]
        items.append(("from scratch (no pre-training)", None))
        # Until the user chooses, the newest pre-training is the one to start from.
        chosen = before if before is not None or not self.starts.count() else None
        first = ready[0].path if ready and self.starts.count() <= 1 else chosen
        fill(self.starts, items, first)
        self._refresh()

    def _classes_changed(self) -> None:
        recolour(self.viewer, self.classes.classes())
        self._refresh()

    def _refresh(self) -> None:
        no_scan = "" if shown_scan(self.viewer) else "Add a scan to the viewer first"
        gate(self.new_button, no_scan)
        none = "" if chosen_labels(self.viewer) else "Press 'New label layer' and paint"
        gate(self.use_button, none)
        missing, cohort = self._missing(), self.cohorts.cohort
        gate(self.start_button, missing, self.missing)
        self.plan.setVisible(cohort is not None)
        if cohort is None or not self.form.fields:
            return
        asked = self._asked(cohort)
        self.plan.show_plan(
            asked,
            key=replace(asked, classes={}, painted=(), masks=None),
            scans=self.cohorts.scans(),
            steps=self.form.value("engine.steps"),
            minutes=self.form.value("engine.minutes"),
            missing=missing,
        )

    def _missing(self) -> str:
        if self.cohorts.cohort is None:
            return "Prepare a cohort under Scans first, or open one"
        if not self.labels.sources:
            return "Add labels first: 'Use this layer' or 'Browse…'"
        if self._starting:
            return "Starting…"
        if self.slot.running:
            return "A fine-tuning runs below; stop or detach it to start another"
        return ""
