"""Optimisers and learning-rate schedules from their settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from scanlearn.config.engine import OptimiserConfig

#: What of a group a user sets.
_SETTINGS = ("initial_lr", "weight_decay", "momentum")

#: Shares of the steps: until when a group is held back, from when it has all its rate.
_HELD, _RISEN = 0.1, 0.2


def make_optimiser(groups: list[dict[str, Any]], config: OptimiserConfig) -> Optimizer:
    """Make the optimiser.

    A group's ``rate`` scales its learning rate. Its ``rises_from`` is the share of that
    which it has at first, see :func:`rise_at`.
    """
    scaled = [
        {
            "params": [p for p in group["params"] if p.requires_grad],
            "lr": config.learning_rate * group.get("rate", 1.0),
            "rises_from": group.get("rises_from", 1.0),
        }
        for group in groups
    ]
    if config.name in ("sgd", "larc"):
        kind = Larc if config.name == "larc" else torch.optim.SGD
        return kind(
            scaled,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(
        scaled, lr=config.learning_rate, weight_decay=config.weight_decay
    )


def load_optimiser(optimiser: Optimizer, state: dict[str, Any]) -> None:
    """Take up the state of an optimiser, which torch does without a look at shapes.

    Raises
    ------
    ValueError
        If its momenta are those of other parameters.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    numbers = [n for group in state["param_groups"] for n in group["params"]]
    for number, p in zip(numbers, parameters, strict=True):
        for name, x in state["state"].get(number, {}).items():
            if torch.is_tensor(x) and x.dim() and x.shape != p.shape:
                raise ValueError(
                    f"{name} of {tuple(x.shape)} for a parameter of {tuple(p.shape)}"
                )
    optimiser.load_state_dict(state)


class Larc(torch.optim.SGD):
    """SGD whose gradients are scaled to the length of what they change.

    You, Gitman and Ginsburg, "Large Batch Training of Convolutional Networks", 2017, in
    the scaling form: ``(g + wd p) eta |p| / (|g| + wd |p| + eps)`` takes the place of
    the gradient g of a tensor p; where a norm is zero, g stays. Weight decay is in it.
    """

    #: Trust coefficient eta, and what keeps the division finite.
    trust, eps = 1e-3, 1e-8

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Scale the gradients, then step as SGD does."""
        decays = [group["weight_decay"] for group in self.param_groups]
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = 0.0
            for p in group["params"]:
                if p.grad is not None:
                    self._scale(p, p.grad, decay)
        found: float | None = super().step(closure)
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay
        return found

    def _scale(self, p: torch.Tensor, gradient: torch.Tensor, decay: float) -> None:
        length, slope = p.norm(), gradient.norm()
        rate = self.trust * length / (slope + decay * length + self.eps)
        scaled = (gradient + decay * p) * rate
        gradient.copy_(torch.where((length > 0) & (slope > 0), scaled, gradient))


def make_schedule(
    optimiser: Optimizer,
    rate: Callable[[int, int], float],
    *,
    steps: int,
    starts: tuple[int, ...] = (0,),
) -> LambdaLR:
    """Make the schedule from the rate of a step of so many, relative to the peak.

    Groups that rise are held back at first. All of it is done anew from each of the
    ``starts`` to the next.
    """

    def of_group(start: float) -> Callable[[int], float]:
        def relative(step: int) -> float:
            step, length = within(step, starts, steps=steps)
            return rise_at(step, start, steps=length) * rate(step, length)

        return relative

    rises = [group.get("rises_from", 1.0) for group in optimiser.param_groups]
    return LambdaLR(optimiser, [of_group(start) for start in rises])


@contextmanager
def settings_kept(optimiser: Optimizer, schedule: LambdaLR) -> Iterator[None]:
    """Keep rates and penalties while states are loaded: those asked for now hold.

    The states hold the ones that they were trained with, which may since be lower.
    """
    own = [
        {name: group[name] for name in _SETTINGS if name in group}
        for group in optimiser.param_groups
    ]
    yield
    step = schedule.last_epoch
    schedule.base_lrs = [group["initial_lr"] for group in own]
    for group, kept, rate in zip(
        optimiser.param_groups, own, schedule.lr_lambdas, strict=True
    ):
        group.update(kept, lr=kept["initial_lr"] * rate(step))


def within(step: int, starts: tuple[int, ...], *, steps: int) -> tuple[int, int]:
    """Return a step's number in its part of a training, and that part's length."""
    first = max(start for start in starts if start <= step)
    last = min((start for start in starts if start > step), default=steps)
    return step - first, last - first


def rate_at(step: int, config: OptimiserConfig, *, steps: int) -> float:
    """Return the learning rate of a step as a fraction of the peak.

    A linear warm-up, then a cosine to zero, or constant.
    """
    warmup = config.warmup * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1.0, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def rise_at(step: int, start: float, *, steps: int) -> float:
    """Return the share of its rate that a held-back group has at a step.

    The start for the first tenth of the steps, all from the second tenth on, in between
    on a line: what is new learns first, so that it does not undo what was learned
    before, and then everything learns (Howard and Ruder, ACL 2018, by stages).
    """
    risen = (step / max(1, steps) - _HELD) / (_RISEN - _HELD)
    return start + (1 - start) * min(1.0, max(0.0, risen))
