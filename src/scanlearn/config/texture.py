"""Settings of texture classification: subtypes of emphysema and the like."""

from typing import Literal

from pydantic import Field

from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.recipe import RecipeConfig
from scanlearn.config.segmentation import ClassConfig


class TextureConfig(RecipeConfig):
    """A class at every place of the lungs, from points, regions or patches.

    By default frozen features with logistic regression: with few labels on real
    emphysema patches they did no worse than training end to end, in seconds.
    """

    name: Literal["texture"] = "texture"
    spacing_mm: float | None = Field(
        default=None,
        gt=0,
        description="Working voxel size from scratch; an encoder's own is always kept",
    )
    classes: tuple[ClassConfig, ...] = Field(
        default=(), description="Taken from the labels when empty"
    )
    ignore_reference: bool = Field(
        default=False,
        description="Take DICOM labels that refer to another scan than their own",
    )
    stride_mm: float = Field(
        default=8.0, gt=0, description="Distance of neighbouring places of a map"
    )
    patch_mm: float = Field(
        default=20.0, gt=0, description="Side of an axial patch, when from scratch"
    )
    points_mm: float = Field(
        default=8.0, gt=0, description="Distance of points taken from a painted region"
    )
    method: Literal["auto", "frozen", "full"] = Field(
        default="auto",
        description="frozen: the encoder stays as it is; full: it is trained, too; "
        "auto: frozen, which with few labels was no worse",
    )
    batch: int = Field(default=32, ge=2, description="Places a step, of full")
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1e-3, warmup=0.05)
    encoder_rate: float = Field(
        default=0.1, ge=0, description="Encoder's learning rate relative to the layer's"
    )
    validation: float = Field(
        default=0.2, ge=0, lt=1, description="Share of patients held out by full"
    )
    turned: bool = Field(
        default=True,
        description="An encoder of slices describes an axial patch by the mean over "
        "its turned and mirrored images: texture has no direction",
    )
    penalty: float | None = Field(
        default=None,
        gt=0,
        description="Inverse strength of the ridge penalty; if not given, 0.01 on an "
        "encoder of slices, else 0.1",
    )

    @property
    def shared_sizes(self) -> tuple[int, ...]:
        """Places; what is fitted at once to frozen features is fitted by one."""
        return (self.batch if self.method == "full" else 1,)

    folds: int = Field(
        default=5, ge=2, description="Of the cross-validation by patient"
    )
