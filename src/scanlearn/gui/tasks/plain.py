"""The docks' part of a task that brings none of its own: a path in, words out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QLabel, QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import button, heading, hint, row
from scanlearn.gui.tasks.dock_task import DockTask
from scanlearn.gui.tasks.shared.label_panel import LabelPanel
from scanlearn.gui.tasks.shared.result_panel import ResultPanel

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.gui.viewer.layers import LayerData, Origin
    from scanlearn.prediction.summary import Prediction
    from scanlearn.scans.geometry import Grid

#: What every summary says, which is no result.
_COMMON = {
    *("run", "task", "scan", "source", "grid", "tables"),
    *("asked", "disclaimer"),
}


@dataclass(frozen=True)
class LabelsAt:
    """Labels in a file or folder, taken as they are."""

    path: Path

    def changes(self) -> dict[str, Any]:
        """Return nothing: no setting follows from them."""
        return {}

    def source(self, cohort: Cohort, draft: Path) -> Path:
        """Return where they are."""
        return self.path


class PathPanel(LabelPanel):
    """A table or a folder, chosen from disk."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.path: Path | None = None
        self.chosen = hint("none yet")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(heading("Labels"))
        layout.addWidget(self.chosen)
        table = button("Table…", self._browse_table, "A CSV file as the task reads it")
        folder = button("Folder…", self._browse_folder, "A folder of labels")
        layout.addWidget(row(table, folder))

    def choose(self, path: Path) -> None:
        """Take labels from a path."""
        self.path = path
        self.chosen.setText(path.name)
        self.chosen.setToolTip(str(path))
        self.changed.emit()

    def missing(self) -> str:
        """Say that labels are needed."""
        return "" if self.path is not None else "Choose a table or folder of labels"

    def gathered(self) -> LabelsAt:
        """Return the path."""
        assert self.path is not None
        return LabelsAt(self.path)

    def _browse_table(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Table of labels")
        if chosen:
            self.choose(Path(chosen))

    def _browse_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder of labels")
        if chosen:
            self.choose(Path(chosen))


class FactsResult(ResultPanel):
    """What the summary says, a line each."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.said = QLabel()
        self.said.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.said)

    def show_prediction(self, prediction: Prediction, layers: list[Any]) -> None:
        """Show every fact that is a word or a number."""
        facts = {k: v for k, v in prediction.facts.items() if k not in _COMMON}
        lines = [
            f"{name.replace('_', ' ')}: {_text(value)}"
            for name, value in facts.items()
            if isinstance(value, str | int | float)
        ]
        self.said.setText("\n".join(lines) or "The result is in its files")


class PlainDock(DockTask):
    """Labels from disk in, facts out; a label map is laid over the scan."""

    def panel(self, viewer: Any) -> PathPanel:
        """Return what gathers the labels."""
        return PathPanel(viewer)

    def overlay(
        self, prediction: Prediction, origin: Origin, shown: Grid
    ) -> list[LayerData]:
        """Return the label map, if the result has one."""
        from scanlearn.gui.tasks.shared.label_layers import label_layers

        if prediction.labels is None:
            return []
        return label_layers(prediction, origin, shown)

    def result(self, viewer: Any) -> FactsResult:
        """Return what tells the result."""
        return FactsResult(viewer)


def _text(value: str | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
