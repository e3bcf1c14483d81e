"""What a run reached: kept evaluations with intervals, validation, cross-validation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scanlearn.config.run import RunConfig
from scanlearn.model_card.anonymous import anonymous
from scanlearn.model_card.markup import listed, section, table
from scanlearn.runs.evaluations import kept_evaluations
from scanlearn.runs.events import Epoch, Event, Health
from scanlearn.runs.folder import RunFolder

_VALIDATION = (
    "Validation, on patients held out of the training. The kept weights were chosen by "
    "it, so it flatters them:"
)
_CROSS = "Cross-validation over patients, done when the model was fitted:"
_NONE = "No score on labels is known. 'scanlearn evaluate' gives one, with intervals."


@dataclass(frozen=True)
class ResultFacts:
    """Scores of a run, as rows of (what, score, value)."""

    evaluations: tuple[tuple[str, tuple[tuple[str, ...], ...], tuple[str, ...]], ...]
    validation: tuple[tuple[str, ...], ...]
    crossed: tuple[tuple[str, ...], ...]
    health: str = ""

    def markdown(self) -> str:
        """Return the section of the card."""
        blocks = []
        for title, rows, remarks in self.evaluations:
            blocks += [title, table(("of", "score", "mean"), rows), listed(remarks)]
        if self.validation:
            blocks += [_VALIDATION, table(("score", "value"), self.validation)]
        if self.crossed:
            blocks += [_CROSS, table(("of", "score", "value"), self.crossed)]
        if self.health:
            blocks.append(f"Health of the training, as last told: {self.health}")
        scored = self.evaluations or self.validation or self.crossed
        return section("Results", *blocks, "" if scored else _NONE)

    def headline(self) -> str:
        """Return the surest score there is, for the methods paragraph; or nothing."""
        if self.evaluations:
            _, rows, remarks = self.evaluations[-1]
            means = [f"{score} {value}" for of, score, value in rows if of == "mean"]
            if not means:
                return ""
            # What must be said beside the numbers goes where they go.
            said = [f"On labelled scans it reached {'; '.join(means)}", *remarks]
            return " ".join(f"{text.rstrip('.')}." for text in said)
        if self.validation:
            name, value = self.validation[0]
            return (
                f"In validation, by which its weights were chosen, {name} was {value}."
            )
        return ""


def result_facts(run: RunFolder, config: RunConfig) -> ResultFacts:
    """Gather what is known of a run's scores."""
    events = run.events()
    lights = [event for event in events if isinstance(event, Health)]
    return ResultFacts(
        evaluations=tuple(_evaluation(one, config) for one in kept_evaluations(run)),
        # What is fitted at once tells its cross-validation as an event, too.
        validation=() if (crossed := tuple(_crossed(run))) else _best(events),
        crossed=crossed,
        health=anonymous(lights[-1].sentence, config) if lights else "",
    )


def _evaluation(
    found: Mapping[str, Any], config: RunConfig
) -> tuple[str, tuple[tuple[str, ...], ...], tuple[str, ...]]:
    day = datetime.fromtimestamp(found["time"], UTC).date().isoformat()
    rows = [("mean", name, _text(score)) for name, score in found["mean"].items()]
    for name, scores in found["classes"].items():
        rows += [(name, score, _text(value)) for score, value in scores.items()]
    remarks = tuple(anonymous(remark, config) for remark in found["remarks"])
    title = (
        f"Evaluation of {day} on cohort {found['cohort']} (95 % intervals over "
        "patients by Student's t):"
    )
    return title, tuple(rows), remarks


def _text(score: object) -> str:
    """Return a score, with its interval where one is known."""
    if not isinstance(score, Mapping):
        return "–" if score is None else f"{score:.3g}"
    interval = ""
    if score["low"] is not None and score["high"] is not None:
        interval = f" [{score['low']:.3g}, {score['high']:.3g}]"
    return f"{score['mean']:.3g}{interval}, n = {score['n']}"


def _best(events: Sequence[Event]) -> tuple[tuple[str, ...], ...]:
    checks = [event for event in events if isinstance(event, Epoch)]
    best = [event for event in checks if event.best] or checks
    if not best:
        return ()
    return tuple((name, f"{value:.3g}") for name, value in best[-1].values.items())


def _crossed(run: RunFolder) -> Iterator[tuple[str, ...]]:
    """Yield the held-out scores that a fitted model keeps in its card."""
    try:
        card = json.loads((run.checkpoints / "model.json").read_text("utf-8"))
    except (OSError, ValueError):
        return
    for name, value in (card.get("held_out") or {}).items():
        scores = value.items() if isinstance(value, Mapping) else [(name, value)]
        of = name if isinstance(value, Mapping) else "all"
        for score, number in scores:
            if isinstance(number, int | float):
                yield of, score, f"{number:.3g}"
