"""What both segmentations share: their settings, and how fast each part learns."""

from __future__ import annotations

from typing import Any

from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.tasks.shared.encoder_start import rated_groups
from scanlearn.tasks.shared.viewed_recipe import ViewedRecipe


class UNetRecipe(ViewedRecipe):
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
        super().__init__(config.engine.seed)
        self.config = config.section(SegmentationConfig)

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the decoder, and the encoder, held back at first if it knows much."""
        rest, encoder = rated_groups(self.unet, self.unet.encoder, rate=1.0)
        start = self.config.encoder_rate if self.pretrained else 1.0
        return [rest, encoder | {"rises_from": start}]
