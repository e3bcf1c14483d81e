"""The Fine-tune dock: from a few labels to a model of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QWidget

from scanlearn.config.offer import PLANNED
from scanlearn.errors import ScanlearnError
from scanlearn.gui.kit.background import Failure, connect_while_alive
from scanlearn.gui.kit.settings import runs_folder
from scanlearn.gui.kit.widgets import Pages, combo, fill, hint, labelled, page
from scanlearn.gui.shared.cohort_section import CohortSection
from scanlearn.gui.shared.run_list import RunRow, date_of
from scanlearn.gui.shared.state import are_radiographs, shared_state
from scanlearn.gui.tasks.registry import dock_task
from scanlearn.gui.tasks.shared.label_panel import LabelPanel
from scanlearn.gui.train.finetune_launch import Finetuning, config_of, start_finetuning
from scanlearn.gui.train.launch_section import LaunchSection
from scanlearn.gui.train.plan_look import PlanLook, Question
from scanlearn.gui.train.settings_form import SettingsForm
from scanlearn.runs.folder import new_run_path
from scanlearn.tasks.registry import all_tasks, task_named
from scanlearn.tasks.shared.earlier_model import learned_task
from scanlearn.tasks.shared.start_fits import misfit
from scanlearn.tasks.task import PlanRequest, TrainingPlan

_ASK = "Compare, in Runs, tells for your scans."


class FinetuneDock(QWidget):
    """Task, start, the task's own labels, Fine-tune, and the card of what runs."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.state = shared_state()
        self.tasks = combo("What the model shall do")
        items: list[tuple[str, object]] = [
            (task.offer.title, name) for name, task in all_tasks().items()
        ]
        fill(self.tasks, items, None)
        self.about = hint()
        self.starts = combo("Whose encoder the model starts from")
        self.misfits = hint()
        self.worth = hint()
        self.cohorts = CohortSection()
        self.panels: dict[str, LabelPanel] = {}
        self._pages = Pages()
        self.form = SettingsForm()
        self.launcher = LaunchSection(
            "finetune",
            "fine-tuning",
            pressed=self.start,
            config_of=config_of,
            start=start_finetuning,
            text="Fine-tune",
            tip="Train in the background on these labels",
        )
        self.plan, self.notice = self.launcher.plan, self.launcher.notice
        self.slot, self.start_button = self.launcher.slot, self.launcher.button
        self.look = PlanLook(self)
        self._lay_out()
        self._show_task()
        self._connect()

    def _lay_out(self) -> None:
        layout = page(self)
        layout.addWidget(labelled("Task", self.tasks))
        layout.addWidget(self.about)
        layout.addWidget(labelled("Start from", self.starts))
        layout.addWidget(self.misfits)
        layout.addWidget(self.worth)
        layout.addWidget(labelled("Cohort", self.cohorts))
        for widget in (self._pages, self.form, self.launcher):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.tasks.currentIndexChanged.connect(lambda _index: self._show_task())
        self.state.runs.changed.connect(self._show_starts)
        self.state.correcting.connect(self.go_on_from)
        self.cohorts.chosen.connect(self._show_starts)
        self.cohorts.failed.connect(self.notice.show_error)
        self.launcher.changed.connect(self._refresh)
        self.form.changed.connect(self._refresh)
        self.look.found.connect(self._show_decisions)
        self.starts.currentIndexChanged.connect(self._refresh)
        self.state.labels_offered.connect(self._take_offered)
        self._take_offered()
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

    @property
    def panel(self) -> LabelPanel:
        """Where the chosen task's labels are gathered."""
        return self.panels[self.task]

    def new_layer(self) -> None:
        """Add an empty layer to draw the task's labels on, over the shown scan."""
        self.panel.new_layer()

    def go_on_from(self, run: Path) -> None:
        """Choose the task of a fine-tuned run, and that run as the start."""
        task = learned_task(run)
        if task:
            self.tasks.setCurrentIndex(self.tasks.findData(task))
            starts = [self.starts.itemData(n) for n in range(self.starts.count())]
            self.starts.setCurrentIndex(starts.index(run) if run in starts else 0)

    def start(self) -> None:
        """Write labels and run, and launch its worker."""
        cohort = self.cohorts.cohort
        assert cohort is not None
        path = new_run_path(runs_folder(), f"{self.task}_{cohort.name}")
        self.launcher.launch(replace(self._asked(cohort), path=path))

    def _asked(self, cohort: Path) -> Finetuning:
        return Finetuning(
            path=Path(),
            cohort=cohort,
            task=self.task,
            preset=self.form.preset,
            start_from=self.starts.currentData(),
            changes=self.form.changes(),
            labels=self.panel.gathered(),
            labelled=self.panel.labelled(),
            card=self.plan.has_card,
        )

    def _show_task(self) -> None:
        """Show the panel of the chosen task; each keeps what was put into it."""
        if self.task not in self.panels:
            panel = dock_task(self.task).panel(self.viewer)
            panel.changed.connect(self._panel_changed)
            panel.failed.connect(self._panel_failed)
            self.panels[self.task] = panel
        self._pages.turn_to(self.panel)
        task = task_named(self.task)
        self.about.setText(task.offer.about.capitalize())
        self.worth.setText(f"{task.worth} {_ASK}" if task.worth else _ASK)
        self.form.show_recipe(task.offer)
        self._show_starts()

    def _take_offered(self) -> None:
        """Take labels from other docks, such as reviewed findings."""
        while self.state.offered:
            offered = self.state.offered.pop(0)
            self.tasks.setCurrentIndex(self.tasks.findData(offered.task))
            if offered.cohort is not None:
                self.state.choose_cohort(offered.cohort)
            self.panel.show_cohort(self.cohorts.cohort)
            self.panel.take(offered.source)

    def _panel_changed(self) -> None:
        self.notice.clear()
        self._refresh()

    def _panel_failed(self, problem: ScanlearnError | Failure) -> None:
        if isinstance(problem, ScanlearnError):
            self.notice.show_error(problem)
        else:
            self.launcher.show_failure(problem)

    def _show_starts(self, _changed: object = None) -> None:
        before = self.starts.currentData()
        ready, earlier, others = self._fitting_starts()
        self.misfits.setText(_told(others))
        self.misfits.setVisible(bool(others))
        items: list[tuple[str, object]] = [(r.title, r.path) for r in ready]
        items += [(f"go on: {_told_of(run)}", run.path) for run in earlier]
        items.append(("from scratch (no pre-training)", None))
        # Until the user chooses, the newest pre-training is the one to start from.
        chosen = before if before is not None or not self.starts.count() else None
        first = ready[0].path if ready and self.starts.count() <= 1 else chosen
        fill(self.starts, items, first)
        self._refresh()

    def _fitting_starts(
        self,
    ) -> tuple[list[RunRow], list[RunRow], dict[str, list[RunRow]]]:
        """Return pre-trainings to start from, models to go on from, others by why not.

        Models of other tasks are not told: nobody expects them here.
        """
        cohort, task = self.cohorts.cohort, task_named(self.task)
        flat = cohort is not None and are_radiographs(cohort)
        fitting: list[RunRow] = []
        earlier: list[RunRow] = []
        others: dict[str, list[RunRow]] = {}
        for run in self.state.runs.rows:
            if run.kind == "pretrain" and run.has_model:
                why = misfit(task, run.path, radiographs=flat)
                (others.setdefault(why, []) if why else fitting).append(run)
            elif task.goes_on and run.kind == "finetune" and run.method == self.task:
                fits = not misfit(task, run.path, radiographs=flat)
                if fits and learned_task(run.path):
                    earlier.append(run)
        return fitting, earlier, others

    def _refresh(self) -> None:
        self.panel.show_cohort(self.cohorts.cohort)
        self.panel.refresh()
        missing, cohort = self._missing(), self.cohorts.cohort
        self.launcher.show_missing(missing)
        start = self.starts.currentData()
        again = start is not None and bool(learned_task(start))
        self.start_button.setText("Train again" if again else "Fine-tune")
        # A model that is fitted at once has no steps to plan.
        planned = cohort is not None and "engine.steps" in self.form.fields
        self.plan.setVisible(planned)
        if cohort is None or not planned:
            self.look.ask(None)
            return
        asked = self._asked(cohort)
        self.look.ask(_question(asked))
        self.plan.show_plan(
            asked,
            key=replace(asked, labels=None),
            cohorts=[cohort],
            scans=self.cohorts.scans(),
            steps=self.form.value("engine.steps"),
            minutes=self.form.value("engine.minutes"),
            missing=missing,
        )

    def _show_decisions(self, decided: TrainingPlan | None) -> None:
        self.plan.show_decisions(decided.sentences() if decided else ())
        if decided is not None:
            self.form.suggest(decided.settings())
            self._refresh()

    def _missing(self) -> str:
        if self.cohorts.cohort is None:
            return "Prepare a cohort under Scans first, or open one"
        if self.panel.missing():
            return self.panel.missing()
        return self.launcher.busy


def _question(asked: Finetuning) -> Question | None:
    """Return what to plan, where the preset leaves it to the plan."""
    if asked.preset != PLANNED:
        return None
    request = PlanRequest(
        asked.cohort,
        asked.start_from,
        asked.changes,
        labelled=asked.labelled,
        card=asked.card,
    )
    return Question(asked.task, request)


def _told_of(run: RunRow) -> str:
    """Return what tells a model from its namesakes: name, score, day."""
    return " · ".join(filter(None, (run.title, run.best, date_of(run.name))))


def _told(others: Mapping[str, Sequence[RunRow]]) -> str:
    """Say which pre-trainings are not offered, and why."""
    told = []
    for why, runs in others.items():
        names = ", ".join(run.title for run in runs[:2])
        if len(runs) > 2:
            names += f" and {len(runs) - 2} more"
        told.append(f"Not offered: {names}. {why[0].upper()}{why[1:]}.")
    return "\n".join(told)
