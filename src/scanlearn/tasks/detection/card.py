"""A trained detector as two files: weights, and how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from scanlearn.config.class_name import ClassName
from scanlearn.nets.location_detector import LocationDetector
from scanlearn.nets.slice_detector import SliceDetector
from scanlearn.tasks.shared.model_file import expected, load_network, read_model_card
from scanlearn.tasks.shared.network_card import NetworkCard, SliceNetworkCard


class DetectorCard(NetworkCard):
    """What a prediction must know of a detector."""

    task: Literal["detection"] = "detection"
    architecture: Literal["location-detector"] = "location-detector"
    stride: int
    #: What one finding is called.
    finding: ClassName
    least_score: float
    within_lungs: bool
    #: Diameters it was trained on; it has not seen others.
    smallest_mm: float
    largest_mm: float

    def build(self) -> LocationDetector:
        """Make the network, untrained."""
        return LocationDetector(self.encoder(), stride=self.stride)


class SliceDetectorCard(SliceNetworkCard):
    """The same of a network that sees radiographs."""

    task: Literal["detection"] = "detection"
    architecture: Literal["slice-detector"] = "slice-detector"
    #: Pixels of a radiograph's long side in its cohort.
    radiograph_size: int
    stride: int
    #: What one finding is called.
    finding: ClassName
    least_score: float

    def build(self) -> SliceDetector:
        """Make the network, untrained."""
        return SliceDetector(self.encoder(), stride=self.stride)


AnyDetectorCard = DetectorCard | SliceDetectorCard

_CARDS: TypeAdapter[AnyDetectorCard] = TypeAdapter(
    Annotated[AnyDetectorCard, Field(discriminator="architecture")]
)


def read_detector_card(run: Path) -> AnyDetectorCard:
    """Read a run's ``model.json``, or say that it has no detector yet."""
    return read_model_card(run, _CARDS, task="detection")


def load_detector(run: Path) -> tuple[LocationDetector, DetectorCard]:
    """Load a fine-tuned detector of spheres, on the CPU, in evaluation mode."""
    card = expected(read_detector_card(run), DetectorCard, run)
    return load_network(card, run), card


def load_slice_detector(run: Path) -> tuple[SliceDetector, SliceDetectorCard]:
    """Load a fine-tuned detector of boxes, on the CPU, in evaluation mode."""
    card = expected(read_detector_card(run), SliceDetectorCard, run)
    return load_network(card, run), card
