"""The result of a detection: a worklist of findings, driven by one hand on the keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QVBoxLayout, QWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.kit.widgets import button, gate, hint, labelled, row
from scanlearn.gui.shared.state import OfferedLabels, shared_state
from scanlearn.gui.tasks.detection.added_findings import AddedFindings
from scanlearn.gui.tasks.detection.review_labels import labels_of
from scanlearn.gui.tasks.detection.reviewed_layers import show_review, words_of
from scanlearn.gui.tasks.detection.ring_labels import RingLabels
from scanlearn.gui.tasks.detection.score_colours import gradient
from scanlearn.gui.tasks.detection.worklist_table import WorklistTable
from scanlearn.gui.tasks.shared.result_panel import ResultPanel
from scanlearn.gui.viewer.layers import origin_of
from scanlearn.prediction.review import (
    Judged,
    Review,
    Verdict,
    kind_of,
    middle_of,
    read_review,
    review_file,
)
from scanlearn.prediction.summary import Prediction
from scanlearn.scans.tables.finding_table import Finding

#: Findings from this score on are shown first; all others are a click away.
_SHOWN_FROM = 0.3

_ABOUT = {
    True: "Keys: A, R, N, + and −; [ and ] step. Slices count from the feet up.",
    False: "Keys: A, R, N, + and −; [ and ] step. Boxes are in pixels of the file.",
}


class FindingResult(ResultPanel):
    """How many, from which score on, the lines, and what may be decided about each.

    Every decision is written beside the prediction at once.
    """

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.review = Review()
        self.count = hint()
        self.least = QDoubleSpinBox()
        self.least.setRange(0.0, 1.0)
        self.least.setSingleStep(0.05)
        self.least.setToolTip("Findings with a lower score are hidden")
        self.table = WorklistTable()
        self.accept_button = button("Accept", self.accept, "It is one [A]")
        self.reject_button = button("Reject", self.reject, "It is none [R]")
        self.add_button = button(
            "Add", self.add, "One the model missed: click its middle in the scan [N]"
        )
        self.smaller_button = button("−", self.smaller, "Smaller [−]")
        self.larger_button = button("+", self.larger, "Larger [+]")
        self.previous_button = button("◂", lambda: self.step(-1), "Previous [")
        self.next_button = button("▸", lambda: self.step(1), "Next ]")
        self.train_button = button(
            "Train again with these",
            self.train_again,
            "Hands what was accepted and added to Fine-tune, as this scan's labels",
        )
        self.kept, self.why = hint(), hint()
        self.about = hint()
        self.added = AddedFindings(viewer, self)
        self._prediction: Prediction | None = None
        self._layer: Any = None
        self._labels: RingLabels | None = None
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        small = (self.smaller_button, self.larger_button)
        for one in (*small, self.previous_button, self.next_button):
            one.setFixedWidth(30)
        for widget in (
            self.count,
            labelled("Score ≥", self.least),
            row(QLabel("Score 0"), gradient(), QLabel("1"), stretch=1),
            self.table,
            row(self.accept_button, self.reject_button, self.add_button, *small),
            row(self.previous_button, self.next_button, self.train_button, stretch=2),
            self.why,
            self.kept,
            self.about,
        ):
            layout.addWidget(widget)

    def _connect(self) -> None:
        self.least.valueChanged.connect(lambda _least: self._show())
        self.table.itemSelectionChanged.connect(self._go)
        self.added.placed.connect(self._take_added)
        self.added.changed.connect(self._gate)
        for keys, action in (
            ("A", self.accept),
            ("R", self.reject),
            ("N", self.add_here),
            ("+", self.larger),
            ("=", self.larger),
            ("-", self.smaller),
            ("[", lambda: self.step(-1)),
            ("]", lambda: self.step(1)),
        ):
            # Of the window: they work over the canvas, too, while this is seen.
            QShortcut(QKeySequence(keys), self).activated.connect(action)

    def show_prediction(self, prediction: Prediction, layers: list[Any]) -> None:
        """Fill the list; the layer of the findings follows it."""
        self._prediction = prediction
        kind = kind_of(prediction) or Finding
        self.table.show_kind(kind)
        self.about.setText(_ABOUT[kind is Finding])
        self._layer = layers[0] if layers else None
        self._labels = None
        if self._layer is not None:
            self._labels = RingLabels(self.viewer, self._layer, self)
        self.review = read_review(prediction)
        self.kept.setVisible(False)
        self.added.show_prediction(prediction)
        self.least.blockSignals(True)
        self.least.setValue(_SHOWN_FROM)
        self.least.blockSignals(False)
        self._show()
        self.step(1)

    def shown(self) -> list[bool]:
        """Return which findings are part of the work: all that are decided, too."""
        least = self.least.value()
        return [one.finding.score >= least or one.kept for one in self.review.items]

    def accept(self) -> None:
        """Take the chosen finding for real."""
        self._judge("accepted")

    def reject(self) -> None:
        """Take the chosen finding for nothing."""
        self._judge("rejected")

    def add(self) -> None:
        """Let the next click in the scan add a finding."""
        self.added.wait()

    def add_here(self) -> None:
        """Add a finding under the mouse; wait for a click where it is elsewhere."""
        if self._prediction is not None:
            self.added.place_here()

    def larger(self) -> None:
        """Make the chosen finding larger."""
        self._resize(1)

    def smaller(self) -> None:
        """Make the chosen finding smaller."""
        self._resize(-1)

    def step(self, by: int) -> None:
        """Go to the next line that is shown, or the one before."""
        lines = [number for number, is_shown in enumerate(self.shown()) if is_shown]
        ahead = [number for number in lines if (number - self.table.chosen) * by > 0]
        if ahead:
            self.table.choose(min(ahead) if by > 0 else max(ahead))

    def train_again(self) -> None:
        """Hand the review to the Fine-tune dock as the labels of its scan."""
        prediction = self._prediction
        assert prediction is not None
        origin = origin_of(self._layer)
        assert origin is not None
        runs = shared_state().runs.rows
        of_run = next((one for one in runs if one.name == prediction.run), None)
        cohort = of_run.cohorts[0] if of_run is not None and of_run.cohorts else None
        name = f"{origin.patient} · reviewed"
        kind = kind_of(prediction) or Finding
        labels = labels_of(self.review, kind, name, origin)
        shared_state().offer_labels(OfferedLabels("detection", labels, cohort))

    def _judge(self, verdict: Verdict) -> None:
        number = self.table.chosen
        if number < 0:
            return
        if self._change(self.review.judged(number, verdict)) and (
            self.review.items[number].verdict
        ):
            self._next_open(number)

    def _next_open(self, number: int) -> None:
        """Go to the next one that nothing is decided about, from the start again."""
        shown = self.shown()
        open_ones = [
            n for n, one in enumerate(self.review.items) if shown[n] and not one.verdict
        ]
        if open_ones:
            later = [n for n in open_ones if n > number]
            self.table.choose((later or open_ones)[0])

    def _resize(self, steps: int) -> None:
        if self.table.chosen >= 0:
            self._change(self.review.resized(self.table.chosen, steps))

    def _take_added(self, one: Judged) -> None:
        if self._change(self.review.added(one)):
            self.table.choose(len(self.review.items) - 1)

    def _change(self, review: Review) -> bool:
        """Keep a changed review on disk and show it; False where it cannot be kept."""
        prediction = self._prediction
        assert prediction is not None
        try:
            review.save(review_file(prediction), kind_of(prediction) or Finding)
        except (OSError, ScanlearnError) as error:
            self.failed.emit(error)
            return False
        self.review = review
        self.kept.setText(f"Kept {datetime.now():%H:%M:%S} ✓ (at every decision)")
        self.kept.setToolTip(str(review_file(prediction)))
        self.kept.setVisible(True)
        self._show()
        self.changed.emit()
        return True

    def _show(self) -> None:
        shown, items = self.shown(), self.review.items
        self.table.show_items(items, shown)
        self._show_layer()
        name = str(self._facts().get("finding", "finding"))
        self.count.setText(_counted(name, items, shown))
        self._gate()

    def _show_layer(self) -> None:
        if self._layer is None or self._layer not in self.viewer.layers:
            return
        shown, items = self.shown(), self.review.items
        show_review(self._layer, items, shown, self.table.chosen)
        assert self._labels is not None
        assert self._prediction is not None
        grid = self._prediction.grid
        pairs = zip(items, shown, strict=True)
        self._labels.show([words_of(one, grid) for one, is_shown in pairs if is_shown])

    def _facts(self) -> dict[str, Any]:
        return self._prediction.facts if self._prediction is not None else {}

    def _gate(self) -> None:
        chosen = "" if self.table.chosen >= 0 else "Choose a line first"
        for one in (self.accept_button, self.reject_button):
            gate(one, chosen)
        for one in (self.smaller_button, self.larger_button):
            gate(one, chosen)
        gate(self.add_button, self.added.waiting)
        pairs = zip(self.review.items, self.shown(), strict=True)
        left = sum(is_shown and not one.verdict for one, is_shown in pairs)
        missing = ""
        if left:
            what = "the last one" if left == 1 else f"the {left} others"
            missing = f"Decide about {what} first: the rest counts as none"
        elif not self.review.items:
            missing = "Add one first: there is nothing to learn from"
        gate(self.train_button, missing)
        self.why.setText(self.added.waiting)
        self.why.setVisible(bool(self.added.waiting))

    def _go(self) -> None:
        """Show the slice of the chosen finding, with it in the middle."""
        number = self.table.chosen
        if number >= 0 and self._prediction is not None:
            # The world's axes are the patient's, read backwards.
            middle = middle_of(self.review.items[number].finding, self._prediction.grid)
            self.viewer.dims.set_point((0, 1, 2), middle[::-1])
            self.viewer.scene.camera.center = middle[::-1]
            self._show_layer()
        self._gate()


def _counted(name: str, items: tuple[Judged, ...], shown: list[bool]) -> str:
    if not items:
        return f"No {name} was found: the model gave nothing a score worth telling."
    plural = f"{name}s" if len(items) != 1 else name
    done = sum(bool(one.verdict) for one, s in zip(items, shown, strict=True) if s)
    text = f"{len(items)} possible {plural} · {sum(shown)} shown · {done} reviewed"
    kept = sum(one.kept for one in items)
    return f"{text} · {kept} real" if kept else text
