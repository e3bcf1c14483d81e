"""What both segmentations share: how fast each part learns, what a step draws from."""

from __future__ import annotations

from typing import Any

import torch

from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.engine.recipe import Recipe
from scanlearn.randomness import torch_generator
from scanlearn.recipes.finetune.encoder_start import rated_groups


class UNetRecipe(Recipe):
    """A segmenter that learns label maps on an encoder.

    A subclass sets these before it is used:

    Attributes
    ----------
    unet
        Has an ``encoder``.
    pretrained
        Name of the run the encoder was trained in; empty for a fresh one.
    """

    score = "dice"
    unet: Any
    pretrained: str

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        assert isinstance(config.recipe, SegmentationConfig)
        self.config, self.seed = config.recipe, config.engine.seed
        self._step = self._rank = 0

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the decoder, and the encoder, held back at first if it knows much."""
        rest, encoder = rated_groups(self.unet, self.unet.encoder, rate=1.0)
        start = self.config.encoder_rate if self.pretrained else 1.0
        return [rest, encoder | {"rises_from": start}]

    def before_step(self, step: int, steps: int) -> None:
        """Note the step, whose views are drawn from its own stream."""
        self._step = step

    def view_draws(self, device: torch.device) -> torch.Generator:
        """Return the generator of the step's views."""
        return torch_generator(
            self.seed, "views", self._step, self._rank, device=device
        )
