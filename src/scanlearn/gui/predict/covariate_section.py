"""Clinical numbers of a patient, for models that were taught with them."""

from __future__ import annotations

import math
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.kit.widgets import LABEL_WIDTH, hint, labelled
from scanlearn.runs import RunFolder
from scanlearn.scans.tables.cells import number_of

#: Widest name, in pixels; the names are columns of the user's tables.
_WIDEST = 180


class CovariateSection(QWidget):
    """A field for each number the chosen model knows; hidden where it knows none."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fields: dict[str, QLineEdit] = {}
        self._run: Path | None = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(
            hint(
                "The patient's numbers, as in the table it was taught with; "
                "left empty, the scan alone counts."
            )
        )
        self.hide()

    def show_model(self, run: Path | None) -> None:
        """Show the fields of a run's covariates; what was typed for another is gone."""
        if run == self._run:
            return
        self._run = run
        for field in self.fields.values():
            row = field.parentWidget()
            assert row is not None
            self._layout.removeWidget(row)
            row.deleteLater()
        self.fields = {name: QLineEdit() for name in _covariates(run)}
        measure = self.fontMetrics().horizontalAdvance
        widest = max(map(measure, self.fields), default=0) + 6
        for name, field in self.fields.items():
            field.setPlaceholderText("a number")
            field.setToolTip(name)
            field.textChanged.connect(self.changed)
            row = labelled(name, field, width=min(max(widest, LABEL_WIDTH), _WIDEST))
            self._layout.addWidget(row)
        self.setVisible(bool(self.fields))

    def missing(self) -> str:
        """Return what keeps the numbers from being used; empty if nothing does."""
        texts = {name: field.text().strip() for name, field in self.fields.items()}
        if not any(texts.values()):
            return ""
        for name, text in texts.items():
            if not text:
                return f"Fill in {name}, too, or leave all of them empty"
            if math.isnan(number_of(text)):
                return f"{name} must be a number, such as 0 or 1 for two groups"
        return ""

    def arguments(self) -> list[str]:
        """Return what tells the numbers to a prediction."""
        if not any(field.text().strip() for field in self.fields.values()):
            return []
        said = [f"{name}={field.text().strip()}" for name, field in self.fields.items()]
        return ["--covariates", ",".join(said)]


def _covariates(run: Path | None) -> tuple[str, ...]:
    if run is None:
        return ()
    try:
        recipe = RunFolder(run).config().recipe
    except ScanlearnError:
        # A run that vanished: predicting with it says so.
        return ()
    return tuple(getattr(recipe, "covariates", ()))
