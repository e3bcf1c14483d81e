"""Settings of detection fine-tuning."""

from typing import Literal

from pydantic import Field

from scanlearn.config.base import Frozen
from scanlearn.config.engine import OptimiserConfig


class DetectionConfig(Frozen):
    """Centres and diameters on the pre-trained encoder, from a few labelled scans."""

    name: Literal["detection"] = "detection"
    spacing_mm: float | None = Field(
        default=None,
        gt=0,
        description="Working voxel size from scratch; an encoder's own is always kept",
    )
    finding: str = Field(
        default="nodule", min_length=1, description="What one finding is called"
    )
    width: int = Field(
        default=8, ge=1, description="Channels of the first layer, when from scratch"
    )
    stride: Literal[2, 4] = Field(
        default=2, description="Voxels between the places where a centre may be"
    )
    tile: int = Field(default=32, ge=32, multiple_of=16, description="Tile in voxels")
    batch: int = Field(default=16, ge=2, description="Tiles a step")
    around_findings: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of tiles with a labelled finding; the others lie in lung",
    )
    hardest: int | None = Field(
        default=128,
        ge=1,
        description="Wrongest background cells of a tile that count; all when null",
    )
    optimiser: OptimiserConfig = OptimiserConfig(
        learning_rate=5e-3, weight_decay=1e-4, warmup=0.05
    )
    encoder: Literal["auto", "frozen", "full"] = Field(
        default="auto",
        description="Whether the encoder is trained too; auto keeps a pre-trained one "
        "frozen below 10 labelled findings",
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
