"""A texture classifier as files: its linear model, its encoder, and how to use both."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter

from scanlearn.config.segmentation import ClassConfig
from scanlearn.encoders.encoder_file import load_weights
from scanlearn.features.describer import Describer, Features
from scanlearn.features.describer_choice import describer_of
from scanlearn.features.linear import LinearModel
from scanlearn.tasks.shared.model_file import WEIGHTS, read_model_card, save_model

Spacing = tuple[float, float, float]


class TextureCard(BaseModel):
    """What a prediction must know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    task: Literal["texture"] = "texture"
    #: Who describes places: an encoder of patches or of slices, or none.
    features: Features
    #: Whether axial patches are seen from all eight sides; older files do not say.
    turned: bool = False
    patch_mm: float
    #: (S, P, L) voxel size of the cohort, where no encoder states one.
    spacing_mm: Spacing
    stride_mm: float
    classes: tuple[ClassConfig, ...]
    #: How many places of each class it learned from.
    labels: tuple[int, ...]
    #: Name of the pre-training run it started from; empty when from scratch.
    pretrained: str = ""


def save_texture(folder: Path, model: LinearModel, card: TextureCard) -> None:
    """Write both files into a run's ``checkpoints/``."""
    tensors = {name: torch.from_numpy(x) for name, x in model.tensors().items()}
    save_model(folder, tensors, card)


def read_texture_card(run: Path) -> TextureCard:
    """Read a run's ``model.json``, or say that it has no such model yet."""
    return read_model_card(run, TypeAdapter(TextureCard), task="texture")


def load_texture(run: Path) -> tuple[Describer, LinearModel, TextureCard]:
    """Load a run's texture classifier with what describes places for it.

    Raises
    ------
    BadRun
        If the run has none.
    """
    card = read_texture_card(run)
    weights = load_weights(run / "checkpoints" / WEIGHTS)
    model = LinearModel(**{name: x.numpy() for name, x in weights.items()})
    describer = describer_of(
        card.features, run, card.patch_mm, card.spacing_mm, turned=card.turned
    )
    return describer, model, card
