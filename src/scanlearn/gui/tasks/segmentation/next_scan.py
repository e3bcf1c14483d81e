"""Next scan: the one whose label would help most, shown, ready for a prediction."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.job_row import JobRow
from scanlearn.gui.kit.widgets import button, gate, hint
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.viewer.cohort_scans import read_source
from scanlearn.gui.viewer.layers import LayerData, origin_of
from scanlearn.gui.viewer.orientation import show_orientation

#: Scans that a model is asked for at a time: the next of them comes at once.
_COUNT = 10

_READY = ("finished", "stopped")


class NextScan(QWidget):
    """A button that asks the newest model of the cohort which scan to label next.

    Before there is a model it shows the first scan without labels.

    Parameters
    ----------
    viewer
        The napari viewer.
    task
        Whose models are asked.
    labelled
        ``labelled()`` returns the keys of the scans that have labels.
    """

    failed = Signal(object)

    def __init__(self, viewer: Any, task: str, labelled: Any) -> None:
        super().__init__()
        self.viewer = viewer
        self.state = shared_state()
        self._task, self._labelled = task, labelled
        self.button = button(
            "Next scan ▸", self.go, "Shows the scan whose label would help most"
        )
        self.told = hint()
        self.job = JobRow()
        self._asked: Path | None = None
        self._answers: dict[Path, list[str]] = {}
        self._shown: set[str] = set()
        self._busy = False
        self._folder = Path(tempfile.mkdtemp(prefix="scanlearn-next-"))
        self.destroyed.connect(partial(_remove, self._folder))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.button, self.job, self.told):
            layout.addWidget(widget)
        self.job.finished.connect(self._answered)
        self.job.failed.connect(self._fail)
        self.job.cancelled.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Say why there is no next scan, if so."""
        busy = self._busy or self.job.busy
        missing = "" if self.state.cohort else "Choose a cohort first"
        gate(self.button, "The next scan is being looked for" if busy else missing)
        self.told.setVisible(bool(self.told.text()))

    def go(self) -> None:
        """Show the next scan; the first time a model has to look at all of them."""
        cohort, model = self.state.cohort, self._model()
        assert cohort is not None
        self.told.clear()
        if model is None:
            self._pick(cohort, None, "no model yet: the first without labels")
        elif model.path in self._answers:
            self._pick(cohort, self._answers[model.path], f"by {model.title}")
        else:
            self._ask(model, cohort)
        self.refresh()

    def _ask(self, model: RunRow, cohort: Path) -> None:
        self._asked = model.path
        arguments = ["suggest", str(model.path), str(cohort), "--n", str(_COUNT)]
        arguments += ["--out", str(self._folder / "scans.json")]
        self.job.start(arguments, f"{model.title} looks at scans without labels")

    def _answered(self, _events: list[Any]) -> None:
        assert self._asked is not None
        found = json.loads((self._folder / "scans.json").read_text("utf-8"))
        self._answers[self._asked] = [one["key"] for one in found]
        self.go()

    def _model(self) -> RunRow | None:
        """Return the newest model of the cohort."""
        for run in self.state.runs.rows:
            mine = run.kind == "finetune" and run.method == self._task
            ready = run.has_model and run.state in _READY
            if mine and ready and self.state.cohort in run.cohorts:
                return run
        return None

    def _pick(self, cohort: Path, keys: Sequence[str] | None, why: str) -> None:
        """Read the first scan that has no labels and was not shown before."""
        self._busy = True
        done = {*self._labelled(), *self._shown}

        def work(_report: Report) -> tuple[str, LayerData] | None:
            key = _first(cohort, keys, done)
            return None if key is None else (key, read_source(cohort, key))

        in_background(self, work, done=partial(self._show, why), failed=self._fail)

    def _show(self, why: str, found: tuple[str, LayerData] | None) -> None:
        self._busy = False
        if found is None:
            self.told.setText("Every scan has labels, or was shown already.")
            self._shown.clear()  # from the beginning, if it is pressed again
            self.refresh()
            return
        key, (data, settings, _kind) = found
        self._shown.add(key)
        for layer in self.viewer.layers:
            if origin_of(layer) is not None:
                layer.visible = False
        added = self.viewer.add_image(data, **settings)
        self.viewer.layers.selection.active = added
        show_orientation(self.viewer)
        self.viewer.reset_view()
        self.told.setText(f"{key}: {why}")
        self.refresh()
        self.state.scan_opened.emit(added.name)

    def _fail(self, failure: Failure) -> None:
        self._busy = False
        self.failed.emit(failure)
        self.refresh()


def _first(
    cohort: Path, keys: Sequence[str] | None, done: Collection[str]
) -> str | None:
    """Return the first key that is not done: of a model's, else of the cohort's."""
    from scanlearn.cohort.catalogue import Cohort

    candidates = [*(keys or []), *Cohort(cohort).keys()]
    return next((key for key in candidates if key not in done), None)


def _remove(folder: Path, _gone: object = None) -> None:
    rmtree(folder, ignore_errors=True)
