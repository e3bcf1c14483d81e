"""Which network learns a segmentation: by the encoder it starts from."""

from __future__ import annotations

from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.encoders.encoder_file import read_card
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard
from scanlearn.engine.recipe import Recipe
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.segmentation.card import SliceSegmenterCard
from scanlearn.tasks.segmentation.crop_segmentation import CropSegmentation
from scanlearn.tasks.segmentation.earlier import earlier_card
from scanlearn.tasks.segmentation.learn_slices import SliceSegmentation
from scanlearn.tasks.segmentation.learn_volumes import Segmentation


def segmentation_recipe(config: RunConfig, run: RunFolder) -> Recipe:
    """Make the recipe: slices if asked for or if the encoder sees them, else tiles."""
    if config.section(SegmentationConfig).dimensions == 2:
        return CropSegmentation(config, run)
    start = config.start_from
    if start is None:
        return Segmentation(config, run)
    card = earlier_card(start) or read_card(start)
    if isinstance(card, SliceSegmenterCard) and card.crops:
        return CropSegmentation(config, run)
    if isinstance(card, SliceEncoderCard | SliceSegmenterCard):
        return SliceSegmentation(config, run)
    return Segmentation(config, run)
