"""A network on the pre-trained encoder as two files: weights, and how to use them."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from scanlearn.anatomy.frames import FrameKind
from scanlearn.cohort.working import WorkingScan
from scanlearn.nets.location_encoder import LocationEncoder


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


_Card = TypeVar("_Card", bound=NetworkCard)


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
