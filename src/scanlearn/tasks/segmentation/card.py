"""A trained segmenter as two files: weights, and how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter
from torch import nn

from scanlearn.config.segmentation import ClassConfig
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.location_unet import LocationUNet
from scanlearn.nets.slice_unet import SliceUNet
from scanlearn.tasks.shared.model_file import (
    expected,
    load_network,
    read_model_card,
    save_model,
)
from scanlearn.tasks.shared.network_card import NetworkCard, SliceNetworkCard


class SegmenterCard(NetworkCard):
    """What a prediction must know of a segmenter: beside the network, the classes."""

    task: Literal["segmentation"] = "segmentation"
    architecture: Literal["location-unet"] = "location-unet"
    classes: tuple[ClassConfig, ...]
    #: Voxels between two decoded places.
    stride: int = 1
    #: Values of the classes that are one piece: the largest is kept.
    whole: tuple[int, ...] = ()
    #: Whether all classes together are one piece: first the largest of that is kept.
    together: bool = False

    def build(self) -> LocationUNet:
        """Make the network, untrained."""
        return segmenting_unet(
            self.encoder(), classes=len(self.classes), stride=self.stride
        )


def segmenting_unet(
    encoder: LocationEncoder, *, classes: int, stride: int
) -> LocationUNet:
    """Make the network of so many classes beside the background."""
    return LocationUNet(encoder, classes=classes + 1, stride=stride, full=True)


class SliceSegmenterCard(SliceNetworkCard):
    """The same of a network that sees slices."""

    task: Literal["segmentation"] = "segmentation"
    architecture: Literal["slice-unet"] = "slice-unet"
    #: Whether the transformer takes part.
    context: bool
    #: Slices at a time.
    neighbours: int
    #: Pixels between two decoded places.
    stride: int = 1
    #: Whether it sees slices at their own pixels, not the whole field as a square.
    crops: bool = False
    #: Across the slices.
    axis: int = 0
    #: Values of the classes that are one piece: the largest is kept.
    whole: tuple[int, ...] = ()
    #: Whether all classes together are one piece: first the largest of that is kept.
    together: bool = False
    #: Voxel size of the cohort.
    stored_spacing_mm: tuple[float, float, float]
    classes: tuple[ClassConfig, ...]

    def build(self) -> SliceUNet:
        """Make the network, untrained."""
        classes = len(self.classes) + 1
        return SliceUNet(
            self.encoder(),
            classes=classes,
            context=self.context,
            stride=self.stride,
            full=True,
        )


AnyCard = SegmenterCard | SliceSegmenterCard

_CARDS: TypeAdapter[AnyCard] = TypeAdapter(
    Annotated[AnyCard, Field(discriminator="architecture")]
)


def save_segmenter(folder: Path, network: nn.Module, card: AnyCard) -> None:
    """Write both files into a run's ``checkpoints/``."""
    save_model(folder, network.state_dict(), card)


def read_segmenter_card(run: Path) -> AnyCard:
    """Read a run's ``model.json``, or say that it has no segmenter yet."""
    return read_model_card(run, _CARDS, task="segmentation")


def load_segmenter(run: Path) -> tuple[LocationUNet, SegmenterCard]:
    """Load a fine-tuned segmenter of tiles, on the CPU, in evaluation mode."""
    card = expected(read_segmenter_card(run), SegmenterCard, run)
    return load_network(card, run), card


def load_slice_segmenter(run: Path) -> tuple[SliceUNet, SliceSegmenterCard]:
    """Load a fine-tuned segmenter of slices, on the CPU, in evaluation mode."""
    card = expected(read_segmenter_card(run), SliceSegmenterCard, run)
    return load_network(card, run), card
