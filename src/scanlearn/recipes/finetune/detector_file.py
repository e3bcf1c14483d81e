"""A trained detector as two files: weights, and how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from scanlearn.nets.location_detector import LocationDetector
from scanlearn.recipes.encoder_file import fill
from scanlearn.recipes.finetune.network_card import NetworkCard
from scanlearn.recipes.model_file import CARD, WEIGHTS, read_model_card


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


def load_detector(run: Path) -> tuple[LocationDetector, DetectorCard]:
    """Load a fine-tuned detector, on the CPU, in evaluation mode."""
    card = read_model_card(run, TypeAdapter(DetectorCard), task="detection")
    network = card.build()
    fill(network, run, weights=WEIGHTS, card=CARD)
    return network.eval(), card
