"""Settings of detection fine-tuning."""

from typing import Literal

from pydantic import Field, field_validator

from scanlearn.config.class_name import ClassName
from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.joint import TrunkConfig
from scanlearn.config.recipe import RecipeConfig


class DetectionConfig(RecipeConfig):
    """Spheres in volumes, boxes on radiographs, from a few labelled scans.

    Which of the two follows from the cohort. ``width``, ``tile`` and ``within_lungs``
    are of volumes; ``trunk``, ``side`` and ``crop`` of radiographs.
    """

    name: Literal["detection"] = "detection"
    spacing_mm: float | None = Field(
        default=None,
        gt=0,
        description="Working voxel size from scratch; an encoder's own is always kept",
    )
    finding: ClassName = Field(
        default="nodule", min_length=1, description="What one finding is called"
    )
    ignore_reference: bool = Field(
        default=False,
        description="Take DICOM labels that refer to another scan than their own",
    )
    width: int = Field(
        default=8, ge=1, description="Channels of the first layer, when from scratch"
    )
    trunk: TrunkConfig = Field(
        default=TrunkConfig(architecture="small", width=16),
        description="The network of radiographs, when from scratch",
    )
    stride: Literal[2, 4] = Field(
        default=2,
        description="Voxels or pixels between the places where a centre may be",
    )
    tile: int = Field(default=32, ge=32, multiple_of=16, description="Tile in voxels")
    side: int = Field(
        default=256,
        ge=64,
        multiple_of=32,
        description="Pixels of a radiograph, its whole field of view a square",
    )
    crop: int = Field(
        default=128,
        ge=64,
        multiple_of=32,
        description="Pixels of the part of a radiograph that a step sees",
    )
    batch: int = Field(default=16, ge=2, title="Tiles or crops a step")
    around_findings: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of tiles with a labelled finding; the others lie in lung, "
        "or anywhere on a radiograph",
    )
    hardest: int | None = Field(
        default=128,
        ge=1,
        description="Wrongest background cells of a tile that count; all when null",
    )
    optimiser: OptimiserConfig = OptimiserConfig(
        learning_rate=5e-3, weight_decay=1e-4, warmup=0.05
    )
    encoder: Literal["full", "frozen"] = Field(
        default="full", description="Whether the encoder is trained too"
    )
    encoder_rate: float = Field(
        default=0.5, ge=0, description="Encoder's learning rate relative to the head's"
    )
    augment: bool = True
    validation: float = Field(
        default=0.2, ge=0, lt=1, description="Share of patients held out, from ten up"
    )
    least_score: float = Field(
        default=0.05, gt=0, lt=1, description="Findings below it are not told"
    )
    within_lungs: bool = Field(
        default=True, description="Leave out findings of a chest CT outside the lungs"
    )

    @field_validator("encoder", mode="before")
    @classmethod
    def _was_auto(cls, value: object) -> object:
        """Open runs of when there was a third way, frozen with few findings only."""
        return "full" if value == "auto" else value
