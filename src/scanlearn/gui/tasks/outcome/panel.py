"""Labels of outcomes: a table, the column to predict, clinical columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QLabel, QLineEdit, QVBoxLayout, QWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.kit.widgets import (
    TABLE_FILES,
    button,
    combo,
    fill,
    heading,
    hint,
    labelled,
    row,
    shortened,
)
from scanlearn.gui.tasks.shared.label_panel import LabelPanel

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort

_ABOUT = (
    "A table with a row a scan: path, patient, and what shall be predicted: a number, "
    "a class, or time and event."
)


@dataclass(frozen=True)
class TableOutcomes:
    """A table, and which of its columns count."""

    table: Path
    target: str
    covariates: tuple[str, ...]

    def changes(self) -> dict[str, Any]:
        """Return the columns as settings."""
        chosen = {"target": self.target, "covariates": list(self.covariates)}
        return {"recipe": chosen}

    def source(self, cohort: Cohort, draft: Path) -> Path:
        """Return the table."""
        return self.table


class OutcomePanel(LabelPanel):
    """Table, target, covariates."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.table: Path | None = None
        self.columns: tuple[str, ...] = ()
        self.browse_button = button("Table…", self.browse, "CSV with a header")
        self.name = QLabel("none yet")
        self.target = combo("What shall be predicted; time: survival")
        self.covariates = QLineEdit()
        self.covariates.setPlaceholderText("such as age, sex (numbers)")
        self.covariates.setAccessibleName("Clinical columns")
        self.known = hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("Outcomes"),
            hint(_ABOUT),
            row(self.browse_button, self.name, stretch=1),
            labelled("Predict", self.target),
            labelled("Beside it", self.covariates),
            self.known,
        ):
            layout.addWidget(widget)
        self.target.currentIndexChanged.connect(lambda _i: self.changed.emit())
        self.covariates.textChanged.connect(lambda _text: self.changed.emit())

    def browse(self) -> None:
        """Let the user choose a table."""
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Table of outcomes", filter=TABLE_FILES
        )
        if chosen:
            self.open(Path(chosen))

    def open(self, path: Path) -> None:
        """Take a table and offer its columns."""
        from scanlearn.scans.tables.label_tables import read_table
        from scanlearn.tasks.outcome.labels import target_columns

        try:
            table = read_table(path)
        except ScanlearnError as error:
            self.failed.emit(error)
            return
        self.table, found = path, target_columns(table)
        self.columns = tuple(found)
        self.name.setText(shortened(path.name, 28))
        self.name.setToolTip(str(path))
        shown: list[tuple[str, object]] = [
            ("time and event (survival)" if name == "time" else name, name)
            for name in found
        ]
        fill(self.target, shown, self.target.currentData())
        self.changed.emit()

    def refresh(self) -> None:
        """Say which columns there are."""
        self.target.setEnabled(bool(self.columns))
        others = [n for n in self.columns if n != self.target.currentData()]
        self.known.setText(f"Other columns: {', '.join(others)}" if others else "")
        self.known.setVisible(bool(others))

    def missing(self) -> str:
        """Say that a table is needed, or which column is unknown."""
        if self.table is None:
            return "Choose a table of outcomes first"
        if self.target.currentData() is None:
            return "The table has no column that could be predicted"
        unknown = [name for name in self._covariates() if name not in self.columns]
        return f"The table has no column '{unknown[0]}'" if unknown else ""

    def gathered(self) -> TableOutcomes:
        """Return the table and its columns as they are chosen."""
        target = str(self.target.currentData() or "")
        return TableOutcomes(self.table or Path(), target, self._covariates())

    def _covariates(self) -> tuple[str, ...]:
        names = (part.strip() for part in self.covariates.text().split(","))
        return tuple(name for name in names if name)
