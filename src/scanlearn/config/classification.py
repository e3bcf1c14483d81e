"""Settings of classification: what single images, such as radiographs, show."""

from typing import Literal

from pydantic import Field

from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.joint import TrunkConfig
from scanlearn.config.recipe import RecipeConfig


class ClassificationConfig(RecipeConfig):
    """One of several classes, or any number of findings, of every image.

    With few labels frozen features with logistic regression, with many the whole
    network.
    """

    name: Literal["classification"] = "classification"
    kind: Literal["auto", "exclusive", "several"] = Field(
        default="auto",
        description="exclusive: one class an image; several: any number of findings; "
        "auto: several where a label joins some by ';'",
    )
    trunk: TrunkConfig = Field(
        default=TrunkConfig(architecture="resnet18"),
        description="The network, when from scratch",
    )
    side: int | None = Field(
        default=None,
        ge=32,
        multiple_of=32,
        description="Pixels of an image's side; if not given, as the encoder saw "
        "slices, or from scratch 224 (small trunk: 64)",
    )
    method: Literal["auto", "frozen", "full"] = Field(
        default="auto",
        description="frozen: the trunk stays as it is; full: it is trained, too; auto: "
        "full from scratch, and from full_from labels up",
    )
    full_from: int = Field(
        default=200,
        ge=1,
        description="Images of the rarest class from which auto trains the trunk",
    )
    batch: int = Field(default=32, ge=2, description="Images a step, of full")
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1e-3, warmup=0.05)
    encoder_rate: float = Field(
        default=0.1, ge=0, description="Trunk's learning rate relative to the layer's"
    )
    augment: bool = True
    mirror: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Probability of left and right exchanged in a view; the heart of a "
        "chest has its side",
    )
    validation: float = Field(
        default=0.2, ge=0, lt=1, description="Share of patients held out, from ten up"
    )
    # 1 is what runs of before have.
    grid: Literal[1, 2, 4] = Field(
        default=1,
        description="Of frozen: cells along the sides of the trunk's first map whose "
        "means are read beside those of the whole maps",
    )
    penalty: float = Field(
        default=0.1, gt=0, description="Inverse strength of the ridge penalty"
    )
    folds: int = Field(
        default=5, ge=2, description="Of the cross-validation by patient, of frozen"
    )
    threshold: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="Probability from which a class counts as seen, for sensitivity "
        "and specificity",
    )
