"""Settings of segmentation fine-tuning."""

from typing import Literal

from pydantic import Field

from scanlearn.config.base import Frozen
from scanlearn.config.class_name import ClassName
from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.recipe import RecipeConfig


class ClassConfig(Frozen):
    """One class of a label map."""

    value: int = Field(ge=1, le=254)
    name: ClassName


class SegmentationConfig(RecipeConfig):
    """A U-Net on the pre-trained encoder, from a few labelled scans or slices.

    On an encoder of patches it is one in three dimensions, on one of slices in two.
    """

    name: Literal["segmentation"] = "segmentation"
    spacing_mm: float | None = Field(
        default=None,
        gt=0,
        description="Working voxel size from scratch; an encoder's own is always kept",
    )
    classes: tuple[ClassConfig, ...] = Field(
        default=(), description="Taken from the labels when empty"
    )
    labelling: Literal["auto", "dense", "slices", "scribbles"] = Field(
        default="auto", description="Which unpainted voxels count as background"
    )
    ignore_reference: bool = Field(
        default=False,
        description="Take DICOM labels that refer to another scan than their own",
    )
    width: int = Field(
        default=8, ge=1, description="Channels of the first layer, when from scratch"
    )
    # Many small tiles rather than few large ones: two tiles of 64^3 a step hold as many
    # voxels as sixteen of 32^3, but their batch statistics follow what is in the tiles
    # and wash out absolute intensities (loss after 100 steps: 1.4 against 0.5).
    tile: int = Field(default=32, ge=32, multiple_of=32, description="Tile in voxels")
    batch: int = Field(default=16, ge=2, title="Tiles a step")
    stride: Literal[1, 2] = Field(
        default=1,
        description="2: every second voxel, or pixel of a crop, is decoded, the rest "
        "interpolated; faster",
    )
    side: int | None = Field(
        default=None,
        ge=32,
        multiple_of=32,
        description="Pixels of a slice, on an encoder of slices; if not given, as many "
        "as the labelled slices have, at most 128",
    )
    neighbours: int = Field(
        default=4, ge=1, description="Slices a context reaches over"
    )
    context: bool = Field(
        default=False,
        description="Tell a slice what its transformer makes of its neighbours",
    )
    foreground: float = Field(
        default=0.5, ge=0, le=1, description="Share of tiles centred on a label"
    )
    optimiser: OptimiserConfig = OptimiserConfig(
        learning_rate=5e-3, weight_decay=1e-4, warmup=0.05
    )
    # Not held back, the first updates undo the pre-training; held back to the end, it
    # is in the way (docs/segmentation_evidence.md).
    encoder_rate: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="A pre-trained encoder's learning rate relative to the decoder's "
        "in the first tenth of the steps; from the second on it has all of it",
    )
    augment: bool = True
    # What follows is set by the plan of a new training (``config/segmentation_plan``);
    # as it stands here, a training is what it was before there were plans.
    dimensions: Literal[2, 3] | None = Field(
        default=None,
        description="2: slices, in crops of the cohort's own pixels; if not given, "
        "what the encoder sees, from scratch 3",
    )
    slice_axis: Literal[0, 1, 2] = Field(
        default=0, description="Across the slices: 0 axial, 1 coronal, 2 sagittal"
    )
    crop: int = Field(
        default=96, ge=32, multiple_of=32, description="Pixels of a slice's crop"
    )
    strength: Literal["weak", "medium"] = Field(
        default="weak", description="Of the random changes of what is learned from"
    )
    rotate_degrees: float | None = Field(
        default=None,
        ge=0,
        le=180,
        description="How far tiles are turned; if not given, as the strength says",
    )
    mirror: bool = Field(
        default=False, description="Mirror, too: only where no class has a side"
    )
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the steps that the exported weights are averaged over",
    )
    keep_largest: bool = Field(
        default=False,
        description="Keep the largest piece of each class that is one piece in the "
        "labels",
    )
    unlabelled: bool = Field(
        default=False,
        title="Use unlabelled",
        description="Learn from the cohort's other scans, too: half of the steps to "
        "label them, half to learn from all",
    )
    validation: float = Field(
        default=0.2, ge=0, lt=1, description="Share of patients held out, from five up"
    )
