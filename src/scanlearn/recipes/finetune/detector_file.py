"""A trained detector as two files: weights, and how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from scanlearn.config.joint import TransformerConfig, TrunkConfig
from scanlearn.nets.location_detector import LocationDetector
from scanlearn.nets.slice_detector import SliceDetector
from scanlearn.recipes.encoder_file import fill
from scanlearn.recipes.finetune.network_card import NetworkCard
from scanlearn.recipes.model_file import CARD, WEIGHTS, read_model_card
from scanlearn.recipes.slice_encoder_card import build_slice_encoder


class DetectorCard(NetworkCard):
    """What a prediction must know of a detector."""

    task: Literal["detection"] = "detection"
    architecture: Literal["location-detector"] = "location-detector"
    stride: int
    #: What one finding is called.
    finding: str
    least_score: float
    within_lungs: bool
    #: Diameters it was trained on; it has not seen others.
    smallest_mm: float
    largest_mm: float

    def build(self) -> LocationDetector:
        """Make the network, untrained."""
        return LocationDetector(self.encoder(), stride=self.stride)


class SliceDetectorCard(BaseModel):
    """The same of a network that sees radiographs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    task: Literal["detection"] = "detection"
    architecture: Literal["slice-detector"] = "slice-detector"
    trunk: TrunkConfig
    transformer: TransformerConfig
    #: Of the curve its input passes (``scanlearn.nets.tone_curve``).
    knee: float | None = None
    #: Pixels of the square it sees, and of a radiograph's long side in its cohort.
    side: int
    radiograph_size: int
    units: Literal["HU", "zscore", "unit"]
    #: Name of the pre-training run it started from; empty when from scratch.
    pretrained: str = ""
    step: int
    stride: int
    #: What one finding is called.
    finding: str
    least_score: float

    def build(self) -> SliceDetector:
        """Make the network, untrained."""
        encoder = build_slice_encoder(self.trunk, self.transformer, knee=self.knee)
        return SliceDetector(encoder, stride=self.stride)


AnyDetectorCard = DetectorCard | SliceDetectorCard

_CARDS: TypeAdapter[AnyDetectorCard] = TypeAdapter(
    Annotated[AnyDetectorCard, Field(discriminator="architecture")]
)


def read_detector_card(run: Path) -> AnyDetectorCard:
    """Read a run's ``model.json``, or say that it has no detector yet."""
    return read_model_card(run, _CARDS, task="detection")


def load_detector(run: Path) -> tuple[LocationDetector, DetectorCard]:
    """Load a fine-tuned detector of spheres, on the CPU, in evaluation mode."""
    card = read_detector_card(run)
    assert isinstance(card, DetectorCard)
    network = card.build()
    fill(network, run, weights=WEIGHTS, card=CARD)
    return network.eval(), card


def load_slice_detector(run: Path) -> tuple[SliceDetector, SliceDetectorCard]:
    """Load a fine-tuned detector of boxes, on the CPU, in evaluation mode."""
    card = read_detector_card(run)
    assert isinstance(card, SliceDetectorCard)
    network = card.build()
    fill(network, run, weights=WEIGHTS, card=CARD)
    return network.eval(), card
