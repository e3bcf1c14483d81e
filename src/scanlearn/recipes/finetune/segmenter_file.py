"""A trained segmenter as two files: weights, and how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import nn

from scanlearn.config.joint import TransformerConfig, TrunkConfig
from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadRun
from scanlearn.nets.location_unet import LocationUNet
from scanlearn.nets.slice_unet import SliceUNet
from scanlearn.recipes.encoder_file import fill
from scanlearn.recipes.finetune.network_card import (
    CARD,
    WEIGHTS,
    NetworkCard,
    save_network,
)
from scanlearn.recipes.slice_encoder_card import build_slice_encoder


class SegmenterCard(NetworkCard):
    """What a prediction must know of a segmenter: beside the network, the classes."""

    task: Literal["segmentation"] = "segmentation"
    architecture: Literal["location-unet"] = "location-unet"
    classes: tuple[ClassConfig, ...]

    def build(self) -> LocationUNet:
        """Make the network, untrained."""
        return LocationUNet(self.encoder(), classes=len(self.classes) + 1)


class SliceSegmenterCard(BaseModel):
    """The same of a network that sees slices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    task: Literal["segmentation"] = "segmentation"
    architecture: Literal["slice-unet"] = "slice-unet"
    trunk: TrunkConfig
    transformer: TransformerConfig
    #: Of the curve its input passes (``scanlearn.nets.tone_curve``).
    knee: float | None = None
    #: Whether the transformer takes part.
    context: bool
    #: Pixels of a slice, and slices at a time.
    side: int
    neighbours: int
    #: Voxel size of the cohort.
    stored_spacing_mm: tuple[float, float, float]
    units: Literal["HU", "zscore", "unit"]
    classes: tuple[ClassConfig, ...]
    #: Name of the pre-training run it started from.
    pretrained: str
    step: int

    def build(self) -> SliceUNet:
        """Make the network, untrained."""
        encoder = build_slice_encoder(self.trunk, self.transformer, knee=self.knee)
        return SliceUNet(encoder, classes=len(self.classes) + 1, context=self.context)


AnyCard = SegmenterCard | SliceSegmenterCard

_CARDS: TypeAdapter[AnyCard] = TypeAdapter(
    Annotated[AnyCard, Field(discriminator="architecture")]
)


def save_segmenter(folder: Path, network: nn.Module, card: AnyCard) -> None:
    """Write both files into a run's ``checkpoints/``."""
    save_network(folder, network, card)


def read_segmenter_card(run: Path) -> AnyCard:
    """Read a run's ``model.json``, or say that it has no segmenter yet."""
    path = run / "checkpoints" / CARD
    try:
        return _CARDS.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadRun(
            f"{run} has no trained segmenter ({CARD} is missing)",
            expected="a fine-tuning run that has saved at least once",
            next_step="Choose a run made by 'scanlearn finetune --task segmentation'",
        ) from None
    except ValidationError as error:
        raise BadRun(f"{path} cannot be understood: {error}") from None


def load_segmenter(run: Path) -> tuple[LocationUNet, SegmenterCard]:
    """Load a fine-tuned segmenter of tiles, on the CPU, in evaluation mode."""
    card = read_segmenter_card(run)
    assert isinstance(card, SegmenterCard)
    network = card.build()
    fill(network, run, weights=WEIGHTS, card=CARD)
    return network.eval(), card


def load_slice_segmenter(run: Path) -> tuple[SliceUNet, SliceSegmenterCard]:
    """Load a fine-tuned segmenter of slices, on the CPU, in evaluation mode."""
    card = read_segmenter_card(run)
    assert isinstance(card, SliceSegmenterCard)
    network = card.build()
    fill(network, run, weights=WEIGHTS, card=CARD)
    return network.eval(), card
