"""What trainings on random views share: what a step's views are drawn from."""

from __future__ import annotations

import torch

from scanlearn.engine.recipe import Recipe
from scanlearn.randomness import torch_generator


class ViewedRecipe(Recipe):
    """A recipe whose views are a function of the seed and the step.

    They are drawn for the whole batch; each process takes its share of them. Samples
    are learned from one by one, so that a batch may come in parts.

    Parameters
    ----------
    seed
        Of the training.
    """

    divisible = True

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self._step = self._part = 0

    def before_step(self, step: int, steps: int) -> None:
        """Note the step, whose views are drawn from its own stream."""
        self._step, self._part = step, 0

    def view_draws(self, device: torch.device) -> torch.Generator:
        """Return the generator of the step's views."""
        # With several batches a step, or parts of one, each has views of its own.
        place = self._step, self._part
        self._part += 1
        return torch_generator(self.seed, "views", *place, device=device)
