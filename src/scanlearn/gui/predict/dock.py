"""The Predict dock: a model of one's own on a scan, laid over it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.layers import Layer
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QWidget

from scanlearn.gui.kit.background import (
    Failure,
    Report,
    connect_while_alive,
    in_background,
)
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.scratch_folder import scratch_folder
from scanlearn.gui.kit.settings import results_folder
from scanlearn.gui.kit.widgets import (
    SCAN_FILES,
    Pages,
    button,
    combo,
    fold,
    gate,
    heading,
    hint,
    labelled,
    page,
    primary,
    row,
)
from scanlearn.gui.predict.batch_results import OpenedResult
from scanlearn.gui.predict.batch_section import BatchSection
from scanlearn.gui.predict.covariate_section import CovariateSection
from scanlearn.gui.predict.model_choice import ModelChoice
from scanlearn.gui.predict.prediction_layers import prediction_layers
from scanlearn.gui.predict.save_section import SaveSection
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.tasks.registry import dock_task
from scanlearn.gui.tasks.shared.result_panel import ResultPanel
from scanlearn.gui.viewer.add_layers import add_one_by_one, made
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import LayerData, Origin, grid_of, origin_of
from scanlearn.gui.viewer.new_layers import is_scan
from scanlearn.gui.viewer.orientation import show_orientation
from scanlearn.gui.viewer.scan_choice import chosen_layer, offer_scans
from scanlearn.prediction.summary import Prediction, read_predictions
from scanlearn.tasks.registry import all_tasks

#: How many ways of looking at a scan are offered beside one.
_VIEWS = 5

_ABOUT = "Lay what a fine-tuned model finds over a scan, and tell it in a table."

Result = tuple[Prediction, list[Layer]]


class PredictDock(QWidget):
    """Model, scan, Predict, the result with its legend, what to save it as."""

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.state = shared_state()
        self.models = ModelChoice()
        self.scans = combo("Scan to predict on")
        self.browse_button = button("Browse…", self.browse, "A scan not yet shown")
        self.views = QCheckBox(f"Look at it in {_VIEWS} ways ({_VIEWS} times as long)")
        self.views.setToolTip(
            "Slightly turned and stretched, the mean counts. Volumes get a standard "
            "deviation, and the uncertainty counts where the views differ."
        )
        self.covariates = CovariateSection()
        self.predict_button = primary("Predict", self.predict)
        self.missing = hint()
        self.job = JobRow()
        self.notice = Notice()
        self.result = heading("Result")
        self.panels: dict[str, ResultPanel] = {}
        self._pages = Pages()
        self.saving = SaveSection()
        self.batch = BatchSection(self.models, self._options)
        self.prediction: Prediction | None = None
        self._target: Any = None
        self._laying = ""
        self._folder = scratch_folder(self, "predict")
        self._lay_out()
        self._connect()
        self._show_models(self.state.runs.rows)
        self._show_scans()
        self._show_result(None)

    def _lay_out(self) -> None:
        layout = page(self)
        disclaimer = QLabel("Not for clinical use")
        disclaimer.setStyleSheet("font-weight: 600")
        for widget in (
            hint(_ABOUT),
            self.models,
            labelled("Scan", row(self.scans, self.browse_button, stretch=0)),
            self.views,
            self.covariates,
            self.predict_button,
            self.missing,
            self.job,
            self.notice,
            self.result,
            self._pages,
            self.saving,
            fold("Many scans", self.batch),
            self.batch,
            disclaimer,
        ):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.state.runs.changed.connect(self._show_models)
        self.state.runs.watch(self)
        self.state.scan_opened.connect(self._choose_scan)
        self.models.changed.connect(self._refresh)
        self.scans.currentIndexChanged.connect(self._refresh)
        self.covariates.changed.connect(self._refresh)
        self.job.finished.connect(self._predicted)
        self.job.failed.connect(self._failed)
        self.job.cancelled.connect(self._refresh)
        self.saving.changed.connect(self._refresh)
        self.batch.opened.connect(self._show_opened)
        events = self.viewer.layers.events
        for emitter in (events.inserted, events.removed):
            connect_while_alive(self, emitter, self._show_scans)

    def browse(self) -> None:
        """Let the user choose a scan that is not shown yet."""
        chosen, _ = QFileDialog.getOpenFileName(self, "Scan", filter=SCAN_FILES)
        if chosen:
            self.open_scan(Path(chosen))

    def open_scan(self, path: Path) -> None:
        """Show a scan, so that it can be chosen."""
        self.notice.clear()

        def work(_report: Report) -> LayerData:
            from scanlearn.scans.find import find_scans

            return read_entry(find_scans(path)[0])

        in_background(self, work, done=self._opened, failed=self._failed)

    def predict(self) -> None:
        """Run the model on the chosen scan in a process of its own."""
        layer = self._layer()
        origin = origin_of(layer)
        assert origin is not None
        self.notice.clear()
        self._show_result(None)
        # The layer may be renamed or removed meanwhile: its place is noted now.
        self._target = (origin, grid_of(layer))
        model = self.models.path
        assert model is not None
        out = self._out = self._place_for(model, origin)
        arguments = ["predict", str(model), str(origin.source), "--out", str(out)]
        arguments += origin.options()
        arguments += [*self._options(), *self.covariates.arguments()]
        self.job.start(arguments, f"Predicting on {origin.patient}")
        self._refresh()

    def _options(self) -> list[str]:
        several = self.views.isVisibleTo(self) and self.views.isChecked()
        return ["--views", str(_VIEWS)] if several else []

    def _place_for(self, model: Path, origin: Origin) -> Path:
        """Return where results go: for good where decisions are kept beside them."""
        if dock_task(self.models.task).reviewed:
            return results_folder() / model.name / origin.folder_name
        return Path(tempfile.mkdtemp(dir=self._folder))

    def _layer(self) -> Any | None:
        return chosen_layer(self.scans, self.viewer)

    def _opened(self, layer: LayerData) -> None:
        data, settings, _kind = layer
        added = self.viewer.add_image(data, **settings)
        show_orientation(self.viewer)
        self.scans.setCurrentIndex(self.scans.findData(added.name))

    def _predicted(self, _events: list[Any]) -> None:
        origin, grid = self._target
        out = self._out

        def work(_report: Report) -> Result:
            found, layers = prediction_layers(read_predictions(out), origin, grid)
            return found, made(layers)

        in_background(self, work, done=self._show_layers, failed=self._failed)
        self._lay("Reading the result…")

    def _show_layers(self, result: Result) -> None:
        prediction, layers = result

        def done() -> None:
            self._lay("")
            self._show_result(prediction, layers)

        add_one_by_one(
            self,
            self.viewer,
            layers,
            told=lambda n, total: self._lay(f"Adding layer {n} of {total}…"),
            done=done,
        )

    def _lay(self, words: str) -> None:
        """Say how far a result is from being seen."""
        self._laying = words
        self._refresh()

    def _show_opened(self, opened: OpenedResult) -> None:
        """Show a scan of the table of many, and its result."""
        self.notice.clear()
        data, settings, _kind = opened.image
        shown = [one for one in self.viewer.layers if _shows(one, opened.origin)]
        if not shown:
            self.viewer.add_image(data, **settings)
            show_orientation(self.viewer)
        self._target = (opened.origin, opened.shown)
        self._show_layers((opened.prediction, opened.layers))

    def _show_result(
        self, prediction: Prediction | None, layers: Sequence[Any] = ()
    ) -> None:
        self.prediction = prediction
        for widget in (self.result, self._pages):
            widget.setVisible(prediction is not None)
        if prediction is not None:
            panel = self._panel(prediction.task)
            panel.show_prediction(prediction, list(layers))
            self._pages.turn_to(panel)
        self.saving.show_prediction(prediction, self._target and self._target[0])

    def _panel(self, task: str) -> ResultPanel:
        """Return where the results of a task are told."""
        if task not in self.panels:
            panel = self.panels[task] = dock_task(task).result(self.viewer)
            panel.changed.connect(self._result_changed)
            panel.failed.connect(self.notice.show_error)
        return self.panels[task]

    def _result_changed(self) -> None:
        self.saving.offer_formats()
        if self.prediction is not None:
            self.batch.look_again(self.prediction)

    def _failed(self, failure: Failure) -> None:
        self._laying = ""
        self.notice.show_failure(failure)
        self._refresh()

    def _show_models(self, rows: tuple[RunRow, ...]) -> None:
        self.models.show_runs(rows, keep=self.job.busy)

    def _show_views(self) -> None:
        """Offer several views where the model's task can have them."""
        task = all_tasks().get(self.models.task)
        self.views.setVisible(task is not None and task.views)

    def _show_scans(self) -> None:
        offer_scans(self.scans, self.viewer, before="shown: ")
        self._refresh()

    def _choose_scan(self, layer: str) -> None:
        """Choose a scan that was shown to be predicted on."""
        self.scans.setCurrentIndex(max(0, self.scans.findData(layer)))

    def _refresh(self) -> None:
        self._show_views()
        self.covariates.show_model(self.models.path)
        missing = self.covariates.missing()
        if self.models.path is None:
            missing = "Fine-tune a model first"
        elif self.scans.currentData() is None:
            missing = "Add a scan to the viewer first, or open one with Browse…"
        elif self.job.busy:
            missing = "A prediction is going on"
        elif self._laying:
            missing = self._laying
        elif self.saving.job.busy:
            missing = "The last result is being saved"
        gate(self.predict_button, missing, self.missing)
        if self.job.busy:  # told by its own row
            self.missing.setVisible(False)


def _shows(layer: Any, origin: Origin) -> bool:
    """Whether a layer is the image of a scan, on the very grid of it."""
    own = origin_of(layer)
    return (
        own is not None
        and is_scan(layer)
        and own.same_scan(origin)
        and own.grid.matches(origin.grid)
    )
