"""What is learned at once, not step by step: linear models on frozen features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

from scanlearn.runs.events import (
    Epoch,
    Event,
    Finished,
    Message,
    Preview,
    Saved,
    Started,
    Step,
    Stopped,
)


class Fit(ABC):
    """A model that is fitted to features of scans, which take most of the time."""

    @property
    @abstractmethod
    def parts(self) -> int:
        """How many scans there are to describe."""

    @abstractmethod
    def work(self) -> Iterator[Message | None]:
        """Describe scan after scan; a message where the user should know something."""

    @abstractmethod
    def finish(self) -> dict[str, float]:
        """Fit the model; returns scores on held-out patients, empty without any."""

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the model into a run's ``checkpoints/``."""

    def previews(self, folder: Path) -> list[Preview]:
        """Draw what was learned into a run's ``previews/``."""
        return []

    def messages(self) -> list[Message]:
        """Return what the user should know before it begins."""
        return []


def fit_at_once(
    fit: Fit, folder: Path, *, should_stop: Callable[[], bool]
) -> Iterator[Event]:
    """Fit a model and tell the story as a training would.

    Parameters
    ----------
    fit
        What is learned.
    folder
        The run's ``checkpoints/``.
    should_stop
        Asked after every scan. There is no model then: resuming begins anew.
    """
    parts = fit.parts
    yield Started(steps=parts)
    yield from fit.messages()
    for done, message in enumerate(fit.work(), start=1):
        if message is not None:
            yield message
        yield Step(step=done, values={})
        if should_stop() and done < parts:
            yield Stopped(step=done, reason="asked for")
            return
    metrics = fit.finish()
    if metrics:
        yield Epoch(step=parts, values=metrics, best=True)
    fit.export(folder)
    yield Saved(step=parts, name="model")
    yield from fit.previews(folder.parent / "previews")
    yield Finished(step=parts, values=metrics)
