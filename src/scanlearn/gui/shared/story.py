"""A run's events told as what a card shows; no Qt in here."""

from __future__ import annotations

from dataclasses import dataclass, field

from scanlearn.gui.kit.durations import duration
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
from scanlearn.runs.work_time import WorkTime

#: Values of a step that are no learning curve.
_NO_CURVE = {"total", "learning_rate", "rate", "seconds", "grad_norm"}

#: Whose weights an imported run holds, as people call them.
_RELEASED = {
    "drasclr": "DrasCLR's own code",
    "joint": "the joint method's own code",
    "torchvision": "torchvision",
}

#: What is told from the wish to stop until the training has ended.
STOPPING = "Stopping: it finishes its step and saves"


@dataclass
class Story:
    """The newest of everything, and the curves.

    ``check_every`` is after how many steps the training looks at what it has learned;
    ``imported`` is whose weights the run holds, if it was not trained here.
    """

    check_every: int = 0
    imported: str = ""
    step: int = 0
    steps: int = 0
    passes: float | None = None
    device: str = ""
    seconds_left: float | None = None
    health: Health | None = None
    message: str = ""
    warning: str = ""
    preview: Preview | None = None
    saved: int | None = None
    last: Finished | Stopped | Crashed | None = None
    best: dict[str, float] = field(default_factory=dict)
    work: WorkTime = field(default_factory=WorkTime)
    curves: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)

    @property
    def ends_at(self) -> float | None:
        """When it will have ended, in seconds since 1970, as far as is known."""
        if self.seconds_left is None or self.last is not None or not self.work.last:
            return None
        return self.work.last + self.seconds_left

    @property
    def has_curve(self) -> bool:
        """Whether there is a line to draw; one point is none."""
        return any(len(steps) > 1 for steps, _ in self.curves.values())

    def add(self, event: Event) -> None:
        """Take in one more event."""
        self.work.add(event)
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
            if event.severity == "warning":
                self.warning = event.text
        elif isinstance(event, LAST_WORDS):
            self.last = event
            self.step = getattr(event, "step", self.step)

    def _begin(self, event: Started) -> None:
        self.steps, self.step, self.device = event.steps, event.step, event.device
        self.passes = event.passes
        self.last, self.seconds_left, self.warning = None, None, ""
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


def sentence(story: Story) -> str:
    """Return what is known of whether something is learned, and when more will be."""
    if story.imported:
        source = _RELEASED.get(story.imported, story.imported)
        return f"Not trained here: weights released with {source}"
    if story.health is not None:
        return story.health.sentence
    if story.best:
        return f"Checked on scans it does not learn from: best {best_text(story)}"
    # The check of a step is told after the step.
    begun_checks = story.step + (story.last is not None) > story.check_every
    if begun_checks:
        text = "Not checked: too few labelled patients to hold one out"
    elif story.last is not None:
        text = "Ended before its first check"
    else:
        begun = "Learning" if story.step else f"Started on {story.device}"
        text = f"{begun}; the first check comes after {story.check_every:,} steps"
    return f"{text}. {story.message}" if story.message else text


def best_text(story: Story) -> str:
    """Return the best validation as one short text, such as ``"dice 0.91"``."""
    if not story.best:
        times = story.health.values.get("times_chance") if story.health else None
        return f"{times:.1f}× chance" if times is not None else ""
    order = ("dice", "retrieval", "accuracy", "auc")
    known = [name for name in order if name in story.best]
    name = (known or list(story.best))[0]
    return f"{name} {story.best[name]:.2f}"


def progress_text(story: Story) -> str:
    """Return ``"step 4,120 / 20,000 · pass 21 / 100 · 1 h 02 min left"``."""
    if not story.steps:
        return ""
    text = f"step {story.step:,} / {story.steps:,}"
    if story.passes:
        done = story.passes * story.step / story.steps
        text += f" · pass {done:.0f} / {story.passes:.0f}"
    if story.seconds_left is not None and story.last is None:
        text += f" · {duration(story.seconds_left)} left"
    return text


def last_words(story: Story) -> str:
    """Return how a training ended, and the best it reached."""
    last, best = story.last, f" · best {best_text(story)}" if story.best else ""
    if isinstance(last, Finished):
        if story.imported:
            return "Ready to start a fine-tuning from"
        return f"Finished: {last.step:,} steps{best}"
    if isinstance(last, Stopped):
        why = f" ({last.reason})" if last.reason not in ("", "asked for") else ""
        return f"Stopped{why} at step {last.step:,}; model kept{best}"
    return progress_text(story)
