"""Optimisers and learning-rate schedules from their settings."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from scanlearn.config.engine import OptimiserConfig


def make_optimiser(groups: list[dict[str, Any]], config: OptimiserConfig) -> Optimizer:
    """Make the optimiser; a group's ``rate`` scales its learning rate."""
    scaled = [
        {
            "params": [p for p in group["params"] if p.requires_grad],
            "lr": config.learning_rate * group.get("rate", 1.0),
        }
        for group in groups
    ]
    if config.name == "sgd":
        return torch.optim.SGD(
            scaled,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(
        scaled, lr=config.learning_rate, weight_decay=config.weight_decay
    )


def make_schedule(
    optimiser: Optimizer, config: OptimiserConfig, *, steps: int
) -> LambdaLR:
    """Make the schedule: linear warm-up, then cosine to zero or constant."""
    return LambdaLR(optimiser, lambda step: rate_at(step, config, steps=steps))


def rate_at(step: int, config: OptimiserConfig, *, steps: int) -> float:
    """Return the learning rate of a step as a fraction of the peak."""
    warmup = config.warmup * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1.0, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
