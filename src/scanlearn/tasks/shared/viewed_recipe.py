"""What trainings on random views share: what a step's views are drawn from."""

from __future__ import annotations

import torch

from scanlearn.engine.recipe import Recipe
from scanlearn.randomness import torch_generator


class ViewedRecipe(Recipe):
    """A recipe whose views are a function of the seed, the step and the process.

    A subclass notes its process's number in ``_rank`` when it yields batches.

    Parameters
    ----------
    seed
        Of the training.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self._step = self._rank = 0

    def before_step(self, step: int, steps: int) -> None:
        """Note the step, whose views are drawn from its own stream."""
        self._step = step

    def view_draws(self, device: torch.device) -> torch.Generator:
        """Return the generator of the step's views."""
        return torch_generator(
            self.seed, "views", self._step, self._rank, device=device
        )
