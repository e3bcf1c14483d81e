"""The training loop, as a generator of events."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from scanlearn.config.engine import EngineConfig
from scanlearn.engine.checkpoints import Checkpoints
from scanlearn.engine.optimisers import (
    load_optimiser,
    make_optimiser,
    make_schedule,
    settings_kept,
)
from scanlearn.engine.pace import Pace
from scanlearn.engine.recipe import Batch, Recipe, StepResult
from scanlearn.errors import BadRun, Diverged
from scanlearn.randomness import seed_everything
from scanlearn.runs.events import (
    Epoch,
    Event,
    Finished,
    Message,
    Saved,
    Started,
    Step,
    Stopped,
)


def train(
    recipe: Recipe,
    config: EngineConfig,
    folder: Path,
    *,
    accelerator: Accelerator,
    should_stop: Callable[[], bool],
) -> Iterator[Event]:
    """Train a recipe from its last checkpoint to the end, telling the story.

    Parameters
    ----------
    recipe
        What is learned.
    config
        How long and how often to save.
    folder
        The run's ``checkpoints/``.
    accelerator
        Device, precision, processes.
    should_stop
        Asked after every step; when true, the state is saved and the loop ends.

    Raises
    ------
    Diverged
        If the loss or a weight is not a number; what was saved before stays.
    """
    training = _Training(recipe, config, folder, accelerator)
    step = training.resume()
    steps = training.steps_from(step)
    yield training.started(step, steps)
    yield from recipe.messages()
    pace = Pace(first_step=step, steps=steps, minutes=config.minutes)
    batches = recipe.batches(step, config, accelerator)
    stopped = False
    while not (stopped or training.agreed(pace.is_over())):
        if step == steps:
            if training.is_done(step):
                break
            steps += config.steps
            yield Message(text="Not all is learned yet: it goes on for another round.")
            yield training.started(step, steps)
            pace.steps = steps
        result = training.step(step, batches)
        step += 1
        if training.agreed(not bool(torch.isfinite(result.loss))):
            raise training.diverged(f"The loss is not a number at step {step}")
        if step % config.log_every == 0 or step == steps:
            values = training.values(result)
            yield Step(step=step, values=values, seconds_left=pace.seconds_left(step))
        if step % config.validate_every == 0:
            yield from training.look(step)
        if step % config.save_every == 0 and step < steps:
            yield from training.save(step)
        stopped = training.agreed(should_stop())
    yield from training.save(step)
    if stopped and not training.is_done(step):
        yield Stopped(step=step, reason="asked for")
    else:
        yield Finished(step=step, values=training.last_metrics)


class _Training:
    """The parts of one training, prepared for the device."""

    def __init__(
        self,
        recipe: Recipe,
        config: EngineConfig,
        folder: Path,
        accelerator: Accelerator,
    ) -> None:
        self.recipe, self.config, self.accelerator = recipe, config, accelerator
        self.checkpoints = Checkpoints(folder)
        self.optimiser: Optimizer = make_optimiser(
            recipe.parameter_groups(), recipe.optimiser
        )
        self.starts = recipe.starts(config.steps)
        self.schedule: LambdaLR = make_schedule(
            self.optimiser, recipe.rate, steps=config.steps, starts=self.starts
        )
        self.wrapped, self.optimiser = accelerator.prepare(recipe, self.optimiser)
        self.best: float | None = None
        self.last_metrics: dict[str, float] = {}

    def resume(self) -> int:
        """Take up the last checkpoint; returns its step, 0 without one."""
        if self.accelerator.is_main_process:
            self.checkpoints.sweep()
        state = self.checkpoints.load("last")
        if state is None:
            self._write("last", 0)
            return 0
        with self.checkpoints.understood("last"):
            self.recipe.load_state_dict(state["recipe"])
            self.recipe.remember(state["memory"])
            with settings_kept(self.optimiser, self.schedule):
                load_optimiser(self.optimiser, state["optimiser"])
                self.schedule.load_state_dict(state["schedule"])
            self.best = state["best"]
            self.last_metrics = state.get("metrics", {})
            step = int(state["step"])
        return step

    def steps_from(self, step: int) -> int:
        """Return where the round ends that a step is in."""
        return self.config.steps * max(1, math.ceil(step / max(1, self.config.steps)))

    def is_done(self, step: int) -> bool:
        """Whether the training ends here: at a round's end, if all is learned.

        It tells from what checkpoints hold, so that a resumed one decides alike.
        """
        if step % max(1, self.config.steps):
            return False
        if step == self.config.steps * self.config.rounds:
            return True
        self.recipe.eval()
        health = self.recipe.health(step)
        learned = health is None or health.light == "green"
        return not self.agreed(not learned)

    def started(self, step: int, steps: int) -> Started:
        """Return the event that says how far it is to go, in passes, too."""
        passes = self.config.passes
        whole = self.config.steps
        return Started(
            steps=steps,
            step=step,
            passes=passes * steps / whole if passes and whole else None,
            device=str(self.accelerator.device),
            precision=str(self.accelerator.mixed_precision),
        )

    def step(self, step: int, batches: Iterator[Batch]) -> StepResult:
        """Do one optimiser step."""
        seed_everything(self.config.seed, "step", step, self.accelerator.process_index)
        self.recipe.train()
        self.recipe.before_step(step, self.config.steps)
        if step in self.starts:
            self.optimiser.state.clear()
        for _ in range(self.config.accumulate):
            batch = _to_device(next(batches), self.accelerator.device)
            with self.accelerator.accumulate(self.wrapped):
                result: StepResult = self.wrapped(batch)
                self.accelerator.backward(result.loss)
                if self.config.clip_norm and self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(
                        self.recipe.parameters(), self.config.clip_norm
                    )
                self.optimiser.step()
                self.optimiser.zero_grad()
            with torch.no_grad():
                self.recipe.after_step(self.accelerator.gather(result.carry))
        self.schedule.step()
        return result

    def values(self, result: StepResult) -> dict[str, float]:
        """Return the curve's values as numbers."""
        values = {"loss": result.loss.detach(), **result.values}
        return {name: float(value) for name, value in values.items()}

    def look(self, step: int) -> Iterator[Event]:
        """Validate and judge; a better score becomes the best checkpoint."""
        self.recipe.eval()
        with torch.no_grad():
            metrics = self.recipe.validate()
            health = self.recipe.health(step)
        if metrics:
            self.last_metrics = metrics
            score = metrics[self.recipe.score]
            better = self.best is None or score > self.best
            if better:
                self.best = score
                self._write("best", step)
            yield Epoch(step=step, values=metrics, best=better)
        if health is not None:
            yield health

    def save(self, step: int) -> Iterator[Event]:
        """Save the state; without validation it is also what is exported."""
        self._write("last", step)
        yield Saved(step=step, name="last")
        if self.accelerator.is_main_process:
            folder = self.checkpoints.folder.parent / "previews"
            yield from self.recipe.previews(folder, step=step)

    def agreed(self, stop: bool) -> bool:
        """Whether any process wants to stop: all leave the loop at the same step."""
        if self.accelerator.num_processes == 1:
            return stop
        votes = torch.tensor([float(stop)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(votes, reduction="sum").item() > 0)

    def diverged(self, found: str) -> Diverged:
        """Return the error of a training whose numbers have run away."""
        rate = self.recipe.optimiser.learning_rate
        return Diverged(
            f"{found}: the training ends, the last checkpoint and model stay",
            next_step="Go on from there with a lower rate: scanlearn resume RUN "
            f"-s optimiser.learning_rate={rate / 3:.1g} (it was {rate:g})",
        )

    def _write(self, name: str, step: int) -> None:
        if not self.checkpoints.folder.is_dir():
            raise BadRun("The folder of the run was deleted while it was trained")
        if not all(map(_is_finite, self.recipe.state_dict().values())):
            raise self.diverged(f"A weight is not a number after step {step}")
        if not self.accelerator.is_main_process:
            return
        if name == "best" or self.best is None:
            # First, for what is exported may be refused: then both stay as they were.
            self._export(step)
        self.checkpoints.save(name, self._state(step))

    def _export(self, step: int) -> None:
        try:
            self.recipe.export(self.checkpoints.folder, step=step)
        except Diverged as error:
            raise self.diverged(f"{error.found} after step {step}") from None

    def _state(self, step: int) -> dict[str, Any]:
        return {
            "step": step,
            "recipe": self.recipe.state_dict(),
            "memory": self.recipe.memory(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "best": self.best,
            "metrics": self.last_metrics,
        }


def _is_finite(value: object) -> bool:
    return not isinstance(value, torch.Tensor) or bool(value.isfinite().all())


def _to_device(batch: Batch, device: torch.device) -> Batch:
    return {name: x.to(device, non_blocking=True) for name, x in batch.items()}
