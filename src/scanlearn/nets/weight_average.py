"""A running average of a network's weights, whose length follows the schedule."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn


class WeightAverage(nn.Module):
    """The exponential average of a network, statistics of its batch norms included.

    A tenth of the steps' average lags behind while much is still learned, a hundredth's
    is no average at the end; so the time constant is a share of the steps, and at first
    it is no longer than what has been seen.

    Parameters
    ----------
    network
        Copied; the copy gets no gradients.
    share
        The time constant relative to the steps.
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False)
        self.share = share

    @torch.no_grad()
    def update(self, network: nn.Module, step: int, steps: int) -> None:
        """Move towards a network after ``step`` of ``steps`` steps."""
        mine, theirs = self.network.state_dict(), network.state_dict()
        weight = 1 - decay_at(step, self.share * steps)
        for name, average in mine.items():
            if average.is_floating_point():
                average.lerp_(theirs[name], weight)
            else:
                average.copy_(theirs[name])

    def begin(self, weights: dict[str, Tensor]) -> None:
        """Forget everything, and begin with these weights."""
        self.network.load_state_dict(weights)


def decay_at(step: int, horizon: float) -> float:
    """Return what is kept at a step of an average over ``horizon`` steps."""
    return min(1 - 1 / max(horizon, 1.0), step / (step + 9))
