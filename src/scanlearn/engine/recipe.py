"""What the engine asks of a recipe: one way to learn one thing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn

from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.engine.optimisers import rate_at
from scanlearn.errors import BadConfig
from scanlearn.runs.events import Health, Message, Preview

Batch = dict[str, Tensor]


@dataclass
class StepResult:
    """What one training step gives.

    Parameters
    ----------
    loss
        Scalar to be minimised.
    values
        Scalars for the curve, without gradient.
    carry
        Tensors for :meth:`Recipe.after_step`, a sample each on dim 0: it gets those of
        the whole batch, of all processes.
    """

    loss: Tensor
    values: dict[str, Tensor] = field(default_factory=dict)
    carry: dict[str, Tensor] = field(default_factory=dict)


def check_share(batch: int, processes: int, *, least: int) -> None:
    """See that every process gets enough of a batch, before anything is trained.

    Raises
    ------
    BadConfig
        If it does not divide evenly, or one of them gets less than ``least`` samples.
    """
    mine, over = divmod(batch, processes)
    if over or mine < least:
        raise BadConfig(
            f"A batch of {batch} over {processes} processes leaves "
            f"{batch / processes:.3g} for each",
            expected=f"a whole number for each process, {least} or more",
            next_step="Start fewer processes, or set a larger batch (no larger than "
            "the number of patients, where patients are compared)",
        )


class Recipe(nn.Module, ABC):
    """A pre-training method or a fine-tuning task, ready to be trained.

    A recipe is a module whose ``forward`` takes a batch and gives a
    :class:`StepResult`, so that Accelerate can wrap it for many GPUs. Data and views
    are pure functions of the seed and the step: a resumed run sees what it would have.
    """

    #: Name of the validation metric that the best checkpoint has most of.
    score: str = ""

    #: Whether a batch may be learned from in parts where memory is too small for it:
    #: its samples are not compared, and nothing is carried to :meth:`after_step`.
    divisible: bool = False

    @property
    @abstractmethod
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""

    @abstractmethod
    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups; ``rate`` scales a group's learning rate."""

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step of so many, relative to the peak.

        Beyond them a training goes on with as many again.
        """
        again = step - steps if step >= steps > 0 else step
        return rate_at(again % max(1, steps), self.optimiser, steps=steps)

    @abstractmethod
    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield this process's batches from a step on, without end."""

    @abstractmethod
    def forward(self, batch: Batch) -> StepResult:
        """Compute the loss of a batch."""

    def messages(self) -> list[Message]:
        """Return what the user should know before the first step."""
        return []

    def previews(self, folder: Path, *, step: int) -> list[Preview]:
        """Draw what was learned into a run's ``previews/``, after a save."""
        return []

    def starts(self, steps: int) -> tuple[int, ...]:
        """Return the steps at which it begins anew: with its rate, without momentum."""
        return (0,)

    def before_step(self, step: int, steps: int) -> None:
        """Note which step comes, for schedules and random streams."""

    def after_step(self, carry: Batch) -> None:
        """Update what is not trained by gradient: teachers, queues, banks."""

    def validate(self) -> dict[str, float]:
        """Return metrics on held-out scans; empty when there are none."""
        return {}

    def health(self, step: int) -> Health | None:
        """Say whether something is being learned."""
        return None

    def memory(self) -> dict[str, Any]:
        """Return state that is in no parameter or buffer: queues and the like."""
        return {}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take back what :meth:`memory` returned."""

    @abstractmethod
    def export(self, folder: Path, *, step: int) -> None:
        """Write the trained network for use elsewhere into a run's ``checkpoints/``."""
