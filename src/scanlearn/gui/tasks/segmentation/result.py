"""The result of a segmentation: classes with volumes, densities of the lungs."""

from __future__ import annotations

from typing import Any

from napari.layers import Labels
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.kit.background import Failure, in_background
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.settings import runs_folder
from scanlearn.gui.kit.widgets import button, gate, hint, row
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.tasks.segmentation.kept_scans import editable
from scanlearn.gui.tasks.shared.legend import Legend
from scanlearn.gui.tasks.shared.lungs_text import lungs_text
from scanlearn.gui.tasks.shared.result_panel import ResultPanel
from scanlearn.gui.viewer.labels_io import snapshot
from scanlearn.gui.viewer.layers import ORIGIN, LayerData, Origin, origin_of
from scanlearn.prediction.summary import Prediction


class ClassResult(ResultPanel):
    """A legend, and the lungs below it."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.legend = Legend()
        self.lungs = hint()
        self.correct_button = button(
            "Correct this",
            self.correct,
            "An editable copy: only slices that you touch or tick count as truth",
        )
        self.notice = Notice()
        self._prediction: Prediction | None = None
        self._layer: Any = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.legend)
        layout.addWidget(self.lungs)
        layout.addWidget(row(self.correct_button))
        layout.addWidget(self.notice)

    def show_prediction(self, prediction: Prediction, layers: list[Any]) -> None:
        """Show classes and densities."""
        self.legend.show_classes(prediction.classes)
        self.lungs.setText(lungs_text(prediction))
        self.lungs.setVisible(bool(self.lungs.text()))
        self.notice.clear()
        self._prediction = prediction
        labels = [one for one in layers if isinstance(one, Labels)]
        self._layer = labels[-1] if labels else None
        gate(self.correct_button, "" if labels else "The label map is not shown")

    def correct(self) -> None:
        """Lay what was painted before over the prediction, as a layer to edit."""
        layer, cohort = self._layer, shared_state().cohort
        if layer not in self.viewer.layers:
            self.notice.say("The layer of this result is gone: predict again.")
            return
        gate(self.correct_button, "The layer is being made")
        found = snapshot(layer)
        in_background(
            self,
            lambda _report: editable(found, cohort),
            done=self._edit,
            failed=self._failed,
        )

    def _edit(self, made: LayerData) -> None:
        data, settings, _kind = made
        scan: Origin = settings["metadata"][ORIGIN]
        for other in self.viewer.layers:
            origin = origin_of(other)
            if isinstance(other, Labels) and origin and scan.same_scan(origin):
                other.visible = False
        added = self.viewer.add_labels(data, **settings)
        added.mode, added.brush_size = "paint", 10
        self.viewer.layers.selection.active = added
        gate(self.correct_button, "")
        assert self._prediction is not None
        shared_state().correcting.emit(runs_folder() / self._prediction.run)

    def _failed(self, failure: Failure) -> None:
        gate(self.correct_button, "")
        self.notice.show_failure(failure)
