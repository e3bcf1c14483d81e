"""The choice of a cohort, the same one in every dock."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from scanlearn.errors import BadCohort
from scanlearn.gui.kit.widgets import button, combo, fill
from scanlearn.gui.shared.state import count_scans, shared_state


class CohortSection(QWidget):
    """Lists prepared cohorts with their number of scans; Open… opens another."""

    chosen = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = shared_state()
        self.list = combo("Prepared scans to learn from")
        self.browse_button = button(
            "Open…", self.browse, "Open a cohort kept elsewhere"
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.browse_button)
        self.list.currentIndexChanged.connect(self._chosen)
        self.state.cohorts_changed.connect(self.refresh)
        self.refresh()

    @property
    def cohort(self) -> Path | None:
        """The chosen cohort."""
        found = self.list.currentData()
        return found if isinstance(found, Path) else None

    def scans(self) -> int:
        """Return how many scans the chosen cohort holds."""
        return count_scans(self.cohort) if self.cohort else 0

    def refresh(self) -> None:
        """List the cohorts on disk again."""
        cohorts = self.state.cohorts()
        items: list[tuple[str, object]] = [
            (f"{path.name} · {count_scans(path)} scans", path) for path in cohorts
        ]
        fill(
            self.list,
            items or [("none prepared yet", None)],
            self.state.cohort or self.cohort,
        )
        self.chosen.emit(self.cohort)

    def browse(self) -> None:
        """Let the user open a cohort kept elsewhere."""
        text = QFileDialog.getExistingDirectory(self, "Cohort")
        if text:
            self.open(Path(text))

    def open(self, path: Path) -> None:
        """Open a cohort kept elsewhere."""
        if not (path / "cohort.yaml").is_file():
            self.failed.emit(
                BadCohort(
                    f"{path} is no cohort",
                    expected="a folder made by 'Prepare cohort'",
                    next_step="Open the scans under Scans and prepare them",
                )
            )
            return
        self.state.choose_cohort(path)

    def _chosen(self) -> None:
        if self.cohort is not None and self.cohort != self.state.cohort:
            self.state.choose_cohort(self.cohort)
