"""The Pre-train dock: learn from scans without labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QButtonGroup, QRadioButton, QVBoxLayout, QWidget

from scanlearn.config.run import RunConfig
from scanlearn.errors import BadConfig
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.settings import runs_folder
from scanlearn.gui.kit.widgets import heading, hint, labelled, page
from scanlearn.gui.runs.locations_section import LocationsSection
from scanlearn.gui.shared.cohort_section import CohortSection
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.train.atlas_sentence import atlas_sentence_of
from scanlearn.gui.train.launch_section import LaunchSection
from scanlearn.gui.train.more_cohorts import MoreCohorts
from scanlearn.gui.train.settings_form import SettingsForm
from scanlearn.pretraining.registry import all_methods, method_named
from scanlearn.runs import RunFolder, launch
from scanlearn.runs.folder import new_run_path

_ABOUT = (
    "Learn what your scans look like, without a single label. It can help where labels "
    "are few; compare with from scratch."
)

#: Of what stands below a choice, in screen points.
_INDENT = 24

#: Fewer patients leave nothing to tell apart.
FEWEST_SCANS = 2


@dataclass(frozen=True)
class Pretraining:
    """What the dock asks for; ``changes`` are laid over the preset."""

    path: Path
    cohorts: tuple[Path, ...]
    method: str
    preset: str
    changes: Mapping[str, Any]


class PretrainDock(QWidget):
    """Cohort, method, preset, plan, Start, and the card of what runs."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.state = shared_state()
        self.cohorts = CohortSection()
        self.more = MoreCohorts()
        self.methods = QButtonGroup(self)
        self.form = SettingsForm()
        self.fits = hint()
        self.locations = LocationsSection(napari_viewer)
        self.launcher = LaunchSection(
            "pretrain",
            "pre-training",
            pressed=self.start,
            config_of=config_of,
            start=start_pretraining,
            text="Start",
            tip="Train in the background",
        )
        self.plan, self.notice = self.launcher.plan, self.launcher.notice
        self.slot, self.start_button = self.launcher.slot, self.launcher.button
        self._checked: tuple[tuple[Path, ...], float | None] = ((), None)
        self._misfit = ""
        self._lay_out()
        self.cohorts.chosen.connect(self._cohort_chosen)
        self.more.changed.connect(self._refresh)
        self.cohorts.failed.connect(self.notice.show_error)
        self.form.changed.connect(self._refresh)
        self.launcher.changed.connect(self._refresh)
        self._method_chosen()
        self._cohort_chosen()

    def _lay_out(self) -> None:
        layout = page(self)
        layout.addWidget(hint(_ABOUT))
        layout.addWidget(labelled("Cohort", self.cohorts))
        layout.addWidget(self.more)
        layout.addWidget(heading("Method"))
        layout.addWidget(self._method_choice())
        for widget in (self.form, self.fits, self.locations, self.launcher):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _method_choice(self) -> QWidget:
        box = QWidget()
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for name, method in all_methods().items():
            choice = QRadioButton(method.offer.title)
            choice.setProperty("recipe", name)
            choice.setChecked(not self.methods.buttons())
            self.methods.addButton(choice)
            column.addWidget(choice)
            about = hint(method.offer.about)
            about.setIndent(_INDENT)
            column.addWidget(about)
        self.methods.buttonClicked.connect(lambda _button: self._method_chosen())
        return box

    @property
    def method(self) -> str:
        """Name of the chosen method."""
        chosen = self.methods.checkedButton()
        assert chosen is not None
        return str(chosen.property("recipe"))

    def start(self) -> None:
        """Write the run and launch its worker."""
        cohort = self.cohorts.cohort
        assert cohort is not None
        path = new_run_path(runs_folder(), f"{self.method}_{cohort.name}")
        self.launcher.launch(replace(self._asked(), path=path))

    @property
    def _chosen(self) -> tuple[Path, ...]:
        first = self.cohorts.cohort
        return (first, *self.more.chosen) if first is not None else ()

    def _asked(self) -> Pretraining:
        return Pretraining(
            path=Path(),
            cohorts=self._chosen,
            method=self.method,
            preset=self.form.preset,
            changes=self.form.changes(),
        )

    def _cohort_chosen(self) -> None:
        self.more.show_beside(self.cohorts.cohort)
        self._refresh()

    def _method_chosen(self) -> None:
        self.form.show_recipe(method_named(self.method).offer)

    def _check_fit(self) -> None:
        """See in the background whether the cohorts' voxels fit the voxel size."""
        if "recipe.spacing_mm" not in self.form.fields:
            # Slices are taken as they are, whatever another method said of them.
            self._checked = ((), None)
            if self._misfit:
                self._misfit = ""
                self.notice.clear()
            return
        wanted = (self._chosen, self.form.value("recipe.spacing_mm"))
        if wanted == self._checked:
            return
        self._checked = wanted
        in_background(
            self,
            partial(check_fit, *wanted),
            done=lambda fits: self._show_fit(wanted, None, fits),
            failed=lambda failure: self._show_fit(wanted, failure),
        )

    def _show_fit(
        self,
        asked: tuple[tuple[Path, ...], float | None],
        failure: Failure | None,
        fits: str = "",
    ) -> None:
        if asked != self._checked:
            return  # another cohort or voxel size was chosen meanwhile
        self.fits.setText(fits)
        self.fits.setVisible(bool(fits))
        before, self._misfit = self._misfit, str(failure.error) if failure else ""
        if failure is not None:
            self.notice.say(
                self._misfit, details=failure.details, action=self._fit_action(failure)
            )
        elif before:
            self.notice.clear()
        self._refresh()

    def _fit_action(self, failure: Failure) -> tuple[str, Callable[[], object]] | None:
        if not isinstance(failure.error, BadConfig):
            return None
        key = "recipe.spacing_mm"
        return "Use the cohort's voxel size", lambda: self.form.set_value(key, None)

    def _refresh(self) -> None:
        self._check_fit()
        cohort, scans = self.cohorts.cohort, self.cohorts.scans() + self.more.scans
        missing = self._missing(scans)
        self.launcher.show_missing(missing)
        if missing == self._misfit:  # the notice tells it
            self.launcher.missing.setVisible(False)
        planned = cohort is not None and "engine.steps" in self.form.fields
        self.plan.setVisible(planned)
        has_atlas = "recipe.landmarks.atlas" in self.form.fields
        self.locations.setVisible(has_atlas)
        self.fits.setVisible(has_atlas and bool(self.fits.text()))
        if cohort is None:
            self.locations.choose([], "Prepare a cohort under Scans first, or open one")
        else:
            self.locations.choose([str(cohort), *self.form.arguments()])
        if not planned:
            return
        asked = self._asked()
        self.plan.show_plan(
            asked,
            key=asked,
            cohorts=self._chosen,
            scans=scans,
            steps=self.form.value("engine.steps"),
            minutes=self.form.value("engine.minutes"),
            missing=missing,
            passes=self._passes(),
        )

    def _passes(self) -> float | None:
        """Return the passes over the data, unless steps are asked for instead."""
        asked = self.form.changes().get("engine", {})
        if "steps" in asked and "passes" not in asked:
            return None
        passes: float | None = self.form.value("engine.passes")
        return passes

    def _missing(self, scans: int) -> str:
        if self.cohorts.cohort is None:
            return "Prepare a cohort under Scans first, or open one"
        if scans < FEWEST_SCANS:
            return f"At least {FEWEST_SCANS} scans are needed; the cohort holds {scans}"
        if self._misfit:
            return self._misfit
        return self.launcher.busy


def start_pretraining(plan: Pretraining, _report: Report) -> RunFolder:
    """Check cohort and settings, write the run, launch its worker; slow."""
    from scanlearn.new_run import new_pretraining

    run = new_pretraining(method_named(plan.method), config_of(plan), plan.path)
    launch(run)
    return run


def config_of(plan: Pretraining) -> RunConfig:
    """Return the checked configuration of a plan; slow the first time."""
    from scanlearn.new_run import pretraining_config

    return pretraining_config(
        list(plan.cohorts),
        method=method_named(plan.method),
        preset_name=plan.preset,
        changes=dict(plan.changes),
    )


def check_fit(
    cohorts: tuple[Path, ...], spacing_mm: float | None, _report: Report
) -> str:
    """Look whether a training can use the cohorts' scans at a voxel size; slow.

    Returns how well atlases lay in the first one's so far.

    Raises
    ------
    ScanlearnError
        If it cannot: the voxel sizes do not fit, or no scan is usable.
    """
    from scanlearn.cohort.working import WorkingCohorts

    if not cohorts:
        return ""
    WorkingCohorts(cohorts, spacing_mm)
    return atlas_sentence_of(cohorts[0])
