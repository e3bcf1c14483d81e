"""A network on the pre-trained encoder as two files: weights, and how to use them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from scanlearn.anatomy.frames import FrameKind
from scanlearn.cohort.working import WorkingScan
from scanlearn.config.joint import TransformerConfig, TrunkConfig
from scanlearn.encoders.slice_encoder_card import build_slice_encoder
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.slice_encoder import SliceEncoder


class NetworkCard(BaseModel):
    """What a prediction of any task must know: the encoder, the grid it works on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    width: int
    dim: int
    experts: int
    #: Of the curve its input passes (``scanlearn.nets.tone_curve``).
    knee: float | None = None
    tile: int
    #: Voxel size of the cohort, and how many of its voxels make a working voxel.
    stored_spacing_mm: tuple[float, float, float]
    factor: int
    units: Literal["HU", "zscore", "unit"]
    frame: FrameKind
    #: What locations refer to; None where each scan's own box does.
    atlas: dict[str, Any] | None = None
    #: Name of the pre-training run it started from; empty when from scratch.
    pretrained: str = ""
    step: int

    def encoder(self) -> LocationEncoder:
        """Make the encoder, untrained."""
        return LocationEncoder(
            width=self.width, dim=self.dim, experts=self.experts, knee=self.knee
        )


class SliceNetworkCard(BaseModel):
    """The same on an encoder of slices, which see squares of pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    trunk: TrunkConfig
    transformer: TransformerConfig
    #: Of the curve its input passes (``scanlearn.nets.tone_curve``).
    knee: float | None = None
    #: Pixels of a square.
    side: int
    units: Literal["HU", "zscore", "unit"]
    #: Name of the pre-training run it started from; empty when from scratch.
    pretrained: str = ""
    step: int

    def encoder(self) -> SliceEncoder:
        """Make the encoder, untrained."""
        return build_slice_encoder(self.trunk, self.transformer, knee=self.knee)


def shared_facts(
    encoder: LocationEncoder, scan: WorkingScan, units: str
) -> dict[str, Any]:
    """Return what a card says of an encoder and of the scans it worked on."""
    return {
        "width": encoder.tap_channels[0],
        "dim": encoder.dim,
        "experts": encoder.experts,
        "knee": encoder.tone.knee,
        "stored_spacing_mm": scan.record.spacing_mm,
        "factor": scan.factor,
        "units": units,
        "frame": scan.frame.kind,
    }
