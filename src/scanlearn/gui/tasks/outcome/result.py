"""The result of an outcome model: what it says, and how good it was on others."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from scanlearn.gui.kit.widgets import hint
from scanlearn.gui.tasks.outcome.cohort_plots import CohortStrip, SurvivalPlot
from scanlearn.gui.tasks.shared.result_panel import ResultPanel
from scanlearn.prediction.summary import Prediction


class OutcomeResult(ResultPanel):
    """One line a number, where the patient lies, and below how far to trust it."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.curve, self.strip = SurvivalPlot(), CohortStrip()
        self.place, self.trust = hint(), hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.said, self.curve, self.strip, self.place, self.trust):
            layout.addWidget(widget)

    def show_prediction(self, prediction: Prediction, layers: list[Any]) -> None:
        """Show the outcome and the scores on held-out patients."""
        lines = _lines(prediction.facts["outcome"])
        known = prediction.facts.get("covariates", {})
        if known:
            each = ", ".join(f"{name} {value:g}" for name, value in known.items())
            lines.append(f"By the scan and {each}")
        self.said.setText("\n".join(lines))
        self.trust.setText(_trust(prediction.facts))
        self._show_place(prediction.facts)

    def _show_place(self, facts: dict[str, Any]) -> None:
        """Draw the patient among those of the training; older models tell nothing."""
        curve, among = facts.get("curve"), facts.get("among")
        self.curve.setVisible(curve is not None)
        self.strip.setVisible(among is not None)
        self.place.setVisible(among is not None)
        if curve is not None:
            self.curve.show_curve(curve)
        if among is not None:
            survival = facts["kind"] == "survival"
            name = "relative risk" if survival else str(facts["target"])
            self.strip.show_patient(among["value"], among["cohort"], name)
            self.place.setText(_place(among, name))


def _lines(found: dict[str, Any]) -> list[str]:
    """Return a line for each number; an interval stands behind its own."""
    lines = []
    for name, value in found.items():
        ends = [found.get(f"{name}_{end}") for end in ("low", "high")]
        text = f"{name.replace('_', ' ')}: {_text(value)}"
        if None not in ends:
            text += f" ({_text(ends[0])} to {_text(ends[1])} in nine of ten patients)"
        if name.removesuffix("_low").removesuffix("_high") not in found.keys() - {name}:
            lines.append(text)
    return lines


def _place(among: dict[str, Any], name: str) -> str:
    count, below = len(among["cohort"]), round(100 * among["share_below"])
    return (
        f"Thick and orange: this patient, whose {name} is above that of {below} % of "
        f"the {count} patients it learned from (blue)."
    )


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _trust(facts: dict[str, Any]) -> str:
    lines = [f"Learned from {facts['patients']} patients. On held-out ones:"]
    for name, scores in facts["held_out"].items():
        each = ", ".join(f"{k} {v:.2f}" for k, v in scores.items())
        lines.append(f"by {name}: {each}")
    if not facts["held_out"]:
        lines = [f"Learned from {facts['patients']} patients: too few to test on."]
    return "\n".join(lines)
