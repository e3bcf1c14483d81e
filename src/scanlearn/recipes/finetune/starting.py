"""Which network learns a task: by the encoder it starts from, or by its labels."""

from __future__ import annotations

from scanlearn.cohort.finding_set import kind_in
from scanlearn.config.run import RunConfig
from scanlearn.engine.recipe import Recipe
from scanlearn.recipes.encoder_file import read_card
from scanlearn.recipes.finetune.box_detection import BoxDetection
from scanlearn.recipes.finetune.detection import Detection
from scanlearn.recipes.finetune.segmentation import Segmentation
from scanlearn.recipes.finetune.slice_segmentation import SliceSegmentation
from scanlearn.recipes.slice_encoder_card import SliceEncoderCard
from scanlearn.runs.folder import RunFolder


def segmentation(config: RunConfig, run: RunFolder) -> Recipe:
    """Make the recipe: tiles on an encoder of patches or from scratch, else slices."""
    start = config.start_from
    if start is not None and isinstance(read_card(start), SliceEncoderCard):
        return SliceSegmentation(config, run)
    return Segmentation(config, run)


def detection(config: RunConfig, run: RunFolder) -> Recipe:
    """Make the recipe: boxes on radiographs, else spheres in volumes."""
    if kind_in(run.inputs) == "boxes":
        return BoxDetection(config, run)
    return Detection(config, run)
