"""The fine-tuned models to choose from: by task, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import combo, fill_groups, hint, labelled
from scanlearn.gui.shared.run_list import RunRow, date_of, undated
from scanlearn.tasks.registry import all_tasks

_READY = ("finished", "stopped")


class ModelChoice(QWidget):
    """A list of models, and below it what the chosen one is.

    A model that appears while the list is shown, a training that has ended, becomes the
    chosen one.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = combo("Fine-tuned models by task, newest first")
        self.about = hint()
        self._models: dict[Path, RunRow] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(labelled("Model", self.list))
        layout.addWidget(self.about)
        self.list.currentIndexChanged.connect(self._chosen)
        self.show_runs(())

    @property
    def path(self) -> Path | None:
        """The chosen model's run."""
        found = self.list.currentData()
        return found if isinstance(found, Path) else None

    @property
    def task(self) -> str:
        """Name of what the chosen model learned; empty without one."""
        return self._models[self.path].method if self.path is not None else ""

    def show_runs(self, rows: Sequence[RunRow], *, keep: bool = False) -> None:
        """Offer the models among some runs, the newest run first.

        Parameters
        ----------
        rows
            The runs.
        keep
            Keep the chosen model whatever has come.
        """
        ready = {r.path: r for r in rows if _is_model(r)}
        come = [path for path in ready if path not in self._models]
        before = self.path if self.path in ready else None
        self._models = ready
        chosen = before if before and (keep or not come) else next(iter(come), before)
        none: list[tuple[str, object]] = [("none yet: see Fine-tune", None)]
        fill_groups(self.list, _groups(ready) or {"": none}, chosen)
        self._chosen()

    def _chosen(self) -> None:
        run = self._models.get(self.path) if self.path is not None else None
        self.about.setText(_about(run) if run is not None else "")
        self.about.setVisible(run is not None)
        self.changed.emit()


def _is_model(run: RunRow) -> bool:
    return run.kind == "finetune" and run.state in _READY and run.has_model


def _groups(models: dict[Path, RunRow]) -> dict[str, list[tuple[str, object]]]:
    """Return models by the title of their task, the task of the newest first."""
    groups: dict[str, list[tuple[str, object]]] = {}
    for run in models.values():
        # In narrow places the middle is left out: day and score tell namesakes apart.
        text = " · ".join(filter(None, (date_of(run.name), run.title, run.best)))
        groups.setdefault(_title(run), []).append((text, run.path))
    return groups


def _about(run: RunRow) -> str:
    """Say what a model is: task, day, what it started from, how good it was."""
    start = run.start_from
    parts = [
        _title(run),
        date_of(run.name),
        f"from {undated(start.name)}" if start is not None else "from scratch",
        f"best {run.best}" if run.best else "not validated",
    ]
    return " · ".join(part for part in parts if part)


def _title(run: RunRow) -> str:
    task = all_tasks().get(run.method)
    return task.offer.title if task is not None else run.method
