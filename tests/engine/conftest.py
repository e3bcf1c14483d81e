"""A recipe in miniature with everything that a resumed training could forget."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch import nn

from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.engine.recipe import Batch, Recipe, StepResult
from scanlearn.randomness import torch_generator
from scanlearn.runs.events import Health


@pytest.fixture(autouse=True)
def _own_accelerator():
    """Accelerate keeps device and precision for a whole process: begin anew."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(scope="session")
def small() -> type[Recipe]:
    """Return the recipe's class."""
    return SmallRecipe


class SmallRecipe(Recipe):
    """Regression with dropout, a running mean (buffer) and a queue (memory).

    Parameters
    ----------
    optimiser
        How it is trained.
    breaks_at
        Step whose loss is not a number.
    scores
        What validation gives, one after another; without it there is none.
    """

    score = "score"

    def __init__(
        self,
        optimiser: OptimiserConfig,
        *,
        breaks_at: int = -1,
        scores: dict[int, float] | None = None,
    ) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.4), nn.Linear(8, 1))
        self.register_buffer("centre", torch.zeros(6))
        self.queue = [torch.zeros(6)]
        self.exported: list[int] = []
        self._optimiser, self._breaks_at, self._scores = optimiser, breaks_at, scores
        self._step = 0

    @property
    def optimiser(self) -> OptimiserConfig:
        return self._optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": list(self.net[0].parameters()), "rate": 0.5},
            {"params": list(self.net[2].parameters())},
        ]

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        number = first_step * engine.accumulate
        while True:
            x = torch.randn(5, 6, generator=torch_generator(engine.seed, "x", number))
            yield {"x": x}
            number += 1

    def before_step(self, step: int, steps: int) -> None:
        self._step = step

    def forward(self, batch: Batch) -> StepResult:
        # The loss depends on the buffer and on the queue, so both must come back.
        x = batch["x"] - self.centre + 0.1 * self.queue[-1]
        loss = (self.net(x)[:, 0] - batch["x"].sum(dim=1)).square().mean()
        if self._step == self._breaks_at:
            loss = loss * float("nan")
        return StepResult(loss, values={"twice": 2 * loss.detach()}, carry=dict(batch))

    def after_step(self, carry: Batch) -> None:
        mean = carry["x"].mean(dim=0)
        self.centre.lerp_(mean, 0.1)
        self.queue = [*self.queue, mean][-3:]

    def validate(self) -> dict[str, float]:
        assert not self.training
        if self._scores is None:
            return {}
        return {"score": self._scores[self._step + 1]}

    def health(self, step: int) -> Health | None:
        return Health(step=step, light="green", sentence="It learns.")

    def memory(self) -> dict[str, Any]:
        return {"queue": self.queue}

    def remember(self, memory: dict[str, Any]) -> None:
        self.queue = list(memory["queue"])

    def export(self, folder: Path, *, step: int) -> None:
        self.exported.append(step)
        (folder / "export.json").write_text(json.dumps(step))
