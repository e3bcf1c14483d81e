"""A run's events told as what a card shows; no Qt in here."""

from __future__ import annotations

from dataclasses import dataclass, field

from scanlearn.runs.events import (
    LAST_WORDS,
    Crashed,
    Epoch,
    Event,
    Finished,
    Health,
    Message,
    Preview,
    Saved,
    Started,
    Step,
    Stopped,
)

#: Values of a step that are no learning curve.
_NO_CURVE = {"total", "learning_rate", "rate", "seconds", "grad_norm"}


@dataclass
class Story:
    """The newest of everything, and the curves."""

    step: int = 0
    steps: int = 0
    device: str = ""
    seconds_left: float | None = None
    health: Health | None = None
    message: str = ""
    preview: Preview | None = None
    saved: int | None = None
    last: Finished | Stopped | Crashed | None = None
    best: dict[str, float] = field(default_factory=dict)
    curves: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take in one more event."""
        if isinstance(event, Started):
            self._begin(event)
        elif isinstance(event, Step):
            self.step, self.seconds_left = event.step, event.seconds_left
            self._extend(event.step, event.values)
        elif isinstance(event, Epoch):
            self._extend(event.step, event.values)
            if event.best or not self.best:
                self.best = event.values
        elif isinstance(event, Health):
            self.health = event
        elif isinstance(event, Saved):
            self.saved = event.step
        elif isinstance(event, Preview):
            self.preview = event
        elif isinstance(event, Message):
            self.message = event.text
        elif isinstance(event, LAST_WORDS):
            self.last = event
            self.step = getattr(event, "step", self.step)

    def _begin(self, event: Started) -> None:
        self.steps, self.step, self.device = event.steps, event.step, event.device
        self.last, self.seconds_left = None, None
        # A resumed run trains some steps again: their old points would draw a loop.
        for steps, values in self.curves.values():
            while steps and steps[-1] > event.step:
                steps.pop()
                values.pop()

    def _extend(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            if name not in _NO_CURVE:
                steps, points = self.curves.setdefault(name, ([], []))
                steps.append(step)
                points.append(value)


def best_text(story: Story) -> str:
    """Return the best validation as one short text, such as ``"dice 0.91"``."""
    if not story.best:
        times = story.health.values.get("times_chance") if story.health else None
        return f"{times:.1f}× chance" if times is not None else ""
    order = ("dice", "retrieval", "accuracy", "auc")
    known = [name for name in order if name in story.best]
    name = (known or list(story.best))[0]
    return f"{name} {story.best[name]:.2f}"


def duration(seconds: float) -> str:
    """Say a duration as people do: ``"1 h 02 min"``, ``"45 s"``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return (
        f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
    )


def progress_text(story: Story) -> str:
    """Return ``"step 4,120 / 20,000 · 1 h 02 min left"``."""
    if not story.steps:
        return ""
    text = f"step {story.step:,} / {story.steps:,}"
    if story.seconds_left is not None and story.last is None:
        text += f" · {duration(story.seconds_left)} left"
    return text
