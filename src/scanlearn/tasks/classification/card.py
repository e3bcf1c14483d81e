"""A trained classifier of images as two files: weights, and how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter

from scanlearn.config.class_name import ClassName
from scanlearn.config.joint import TrunkConfig
from scanlearn.nets.image_classifier import ImageClassifier
from scanlearn.nets.resnet import ResNet
from scanlearn.tasks.shared.model_file import load_network, read_model_card, save_model

Floats = NDArray[np.float64]


class ClassifierCard(BaseModel):
    """What a prediction must know, and how good the model was on held-out patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    task: Literal["classification"] = "classification"
    architecture: Literal["image-classifier"] = "image-classifier"
    trunk: TrunkConfig
    #: Of the curve its input passes (``scanlearn.nets.tone_curve``).
    knee: float | None = None
    #: Pixels of an image as the network sees it, and along the long side as stored.
    side: int
    stored_size: int
    #: Cells along the sides of the trunk's first map that are read beside the means.
    grid: int = 1
    units: Literal["HU", "zscore", "unit"]
    classes: tuple[ClassName, ...]
    #: Whether an image may show any number of them; else it shows one.
    several: bool
    #: Probability from which a class counts as seen.
    threshold: float
    method: Literal["frozen", "full"]
    #: How many images and patients it learned from, and images of each class.
    images: int
    patients: int
    labels: tuple[int, ...]
    #: Metrics on patients that the model, or one of a fold, was not fitted to.
    held_out: dict[str, float] = {}
    #: Name of the pre-training run it started from; empty when from scratch.
    pretrained: str = ""
    step: int = 0

    def build(self) -> ImageClassifier:
        """Make the network, untrained."""
        trunk = ResNet(self.trunk.architecture, width=self.trunk.width)
        return self.on(trunk)

    def on(self, trunk: ResNet) -> ImageClassifier:
        """Make the network on a trunk."""
        return ImageClassifier(
            trunk,
            classes=len(self.classes),
            knee=self.knee,
            grid=self.grid,
            side=self.side,
        )

    def probabilities(self, logits: Floats) -> Floats:
        """Return (n, K) probabilities: each its own, or of one class an image."""
        if self.several:
            return np.asarray(1 / (1 + np.exp(-logits)))
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))

    def said(self, probabilities: Floats) -> tuple[str, ...]:
        """Return the classes that an image with probabilities (K,) shows."""
        seen = probabilities >= self.threshold
        if self.several:
            return tuple(n for n, yes in zip(self.classes, seen, strict=True) if yes)
        if len(self.classes) == 2:
            return (self.classes[int(seen[1])],)
        return (self.classes[int(probabilities.argmax())],)


def save_classifier(
    folder: Path, network: ImageClassifier, card: ClassifierCard
) -> None:
    """Write both files into a run's ``checkpoints/``.

    The same number added to all logits changes no probability of exclusive classes, but
    their maps; so the rows of such a layer are written with a mean of zero.
    """
    weights = dict(network.state_dict())
    if not card.several:
        for name in ("head.weight", "head.bias"):
            weights[name] = weights[name] - weights[name].mean(dim=0, keepdim=True)
    save_model(folder, weights, card)


def read_classifier_card(run: Path) -> ClassifierCard:
    """Read a run's ``model.json``, or say that it has no classifier yet."""
    return read_model_card(run, TypeAdapter(ClassifierCard), task="classification")


def load_classifier(run: Path) -> tuple[ImageClassifier, ClassifierCard]:
    """Load a fine-tuned classifier, on the CPU, in evaluation mode."""
    card = read_classifier_card(run)
    return load_network(card, run), card
