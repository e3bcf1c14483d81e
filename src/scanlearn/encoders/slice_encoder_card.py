"""What the joint method's encoder is, beside its weights on disk."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from scanlearn.config.joint import TransformerConfig, TrunkConfig
from scanlearn.nets.resnet import ResNet
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.nets.slice_transformer import SliceTransformer
from scanlearn.views.normalise import Units, knee_of


class SliceEncoderCard(BaseModel):
    """What another program must know to use the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    architecture: Literal["slice-encoder"] = "slice-encoder"
    method: str
    trunk: TrunkConfig
    transformer: TransformerConfig
    #: Pixels of a slice, whose square holds the whole field of view, and the most
    #: slices of a volume, evenly taken.
    slice_side: int
    slices: int
    #: What its training images' intensities meant.
    units: tuple[Units, ...]
    #: Whether the transformer was trained; else a volume is the mean of its slices.
    holistic: bool
    step: int
    #: Whether a decoder was trained with it (``scanlearn.encoders.decoder_file``).
    decoder: bool = False
    #: False for the twin of a comparison, which has the shape and nothing learned.
    trained: bool = True

    def build(self) -> SliceEncoder:
        """Make the network, untrained."""
        return build_slice_encoder(self.trunk, self.transformer, knee=self.knee)

    @property
    def knee(self) -> float | None:
        """Where the tone curve bends, if all images are CT."""
        others = set(self.units) - {"HU"}
        return None if others else knee_of(self.trunk.knee_hu, "HU")


def build_slice_encoder(
    trunk: TrunkConfig, transformer: TransformerConfig, *, knee: float | None
) -> SliceEncoder:
    """Make an encoder of slices, untrained."""
    options = transformer.model_dump()
    dim = options.pop("dim")
    return SliceEncoder(
        ResNet(trunk.architecture, width=trunk.width),
        SliceTransformer(dim, **options),
        dim=dim,
        knee=knee,
    )
