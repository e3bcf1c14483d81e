"""The labelled images of a classification, and the network that will learn them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.classification import ClassificationConfig
from scanlearn.config.joint import TrunkConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.encoder_file import load_slice_encoder
from scanlearn.encoders.pixels import image_pixels
from scanlearn.errors import BadCohort, BadLabels
from scanlearn.nets.image_classifier import ImageClassifier
from scanlearn.nets.resnet import ResNet
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.classification.card import ClassifierCard
from scanlearn.tasks.classification.labels import ImageLabel, ImageLabels
from scanlearn.tasks.shared.start_units import check_units
from scanlearn.views.normalise import Units, normalised

#: Sides of images are multiples of this, the largest stride of a trunk.
_STRIDE = 32

#: Sides from scratch, by make of the trunk.
_SCRATCH_SIDES = {"small": 64, "resnet18": 224, "resnet50": 224}

_BATCH = 32


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images of a cohort with what they show.

    Parameters
    ----------
    cohort
        Where their pixels are.
    items
        One each.
    targets
        (n, K) whether an image shows a class.
    side
        Pixels of a side, as the network sees them.
    """

    cohort: Cohort
    items: tuple[ImageLabel, ...]
    targets: NDArray[np.bool_]
    side: int

    def __len__(self) -> int:
        return len(self.items)

    def of(self, rows: Sequence[int] | NDArray[np.int_]) -> LabelledImages:
        """Return some of them."""
        some = tuple(self.items[int(row)] for row in rows)
        targets = self.targets[np.asarray(rows, dtype=int)]
        return LabelledImages(self.cohort, some, targets, self.side)

    def pixels(self, row: int) -> Tensor:
        """Return one image (1, side, side) in [0, 1264]."""
        key = self.items[row].scan
        intensity = self.cohort.record(key).intensity
        return image_pixels(self.cohort.voxels(key), intensity, side=self.side)

    def batches(self) -> list[range]:
        """Return the rows of one pass."""
        rows = range(len(self))
        return [rows[n : n + _BATCH] for n in rows[::_BATCH]]

    def stack(self, rows: Sequence[int], device: torch.device) -> Tensor:
        """Return images (n, 1, side, side) as networks take them, unchanged."""
        x = torch.stack([self.pixels(row) for row in rows])
        return normalised(x.to(device))


@dataclass(frozen=True, eq=False)
class Classification:
    """What a training of either method begins with.

    Parameters
    ----------
    network
        With a layer that knows nothing yet.
    images
        Those that may be learned from or held out; none of the test.
    card
        What is known of the model beforehand.
    """

    network: ImageClassifier
    images: LabelledImages
    card: ClassifierCard


def open_classification(config: RunConfig, run: RunFolder) -> Classification:
    """Read the labels of a run and load the network it starts from.

    Raises
    ------
    BadLabels
        If a labelled image cannot be used.
    BadCohort
        If the encoder was trained on other intensities.
    """
    recipe = config.section(ClassificationConfig)
    labels = ImageLabels.load(run.inputs)
    cohort = Cohort(config.cohorts[0])
    items = tuple(item for item in labels.items if item.split != "test")
    units, size = _facts(cohort, items)
    trunk, knee, kind, side, pretrained = _start(config, units)
    targets = targets_of(items, labels.classes)
    method = method_of(recipe, targets, pretrained=bool(pretrained))
    card = ClassifierCard(
        trunk=kind,
        knee=knee,
        side=side,
        stored_size=size,
        units=units,
        classes=labels.classes,
        several=labels.several,
        threshold=recipe.threshold,
        grid=recipe.grid if method == "frozen" else 1,
        method=method,
        images=len(items),
        patients=len({item.patient for item in items}),
        labels=tuple(targets.sum(axis=0).tolist()),
        pretrained=pretrained,
    )
    return Classification(
        card.on(trunk), LabelledImages(cohort, items, targets, side), card
    )


def targets_of(
    items: Sequence[ImageLabel], classes: Sequence[str]
) -> NDArray[np.bool_]:
    """Return (n, K) whether an image shows a class."""
    shown = [[name in item.classes for name in classes] for item in items]
    return np.array(shown, dtype=bool).reshape(len(items), len(classes))


def method_of(
    recipe: ClassificationConfig, targets: NDArray[np.bool_], *, pretrained: bool
) -> str:
    """Return how a classification is learned: as asked, else by its labels.

    Frozen features need a pre-training, and are best while labels are few.
    """
    if recipe.method != "auto":
        return recipe.method
    seen = targets.sum(axis=0)
    rarest = int(np.minimum(seen, len(targets) - seen).min())
    return "frozen" if pretrained and rarest < recipe.full_from else "full"


def _facts(cohort: Cohort, items: Sequence[ImageLabel]) -> tuple[Units, int]:
    """Return what the intensities mean, and the pixels along the long sides."""
    known = set(cohort.keys())
    missing = [item.scan for item in items if item.scan not in known]
    if missing or not items:
        which = missing[0] if missing else "to learn from"
        raise BadLabels(
            f"The labelled image {which} is not in the cohort, or is excluded",
            expected="labelled images that can be used",
            next_step="Include it again, or launch the training without it",
        )
    records = [cohort.record(item.scan) for item in items]
    units = sorted({record.intensity.units for record in records})
    if len(units) > 1:
        raise BadCohort(
            f"The labelled images' intensities are of kinds {', '.join(units)}",
            expected="images of one kind",
            next_step="Label images of one kind",
        )
    return records[0].intensity.units, max(max(record.shape) for record in records)


def _start(
    config: RunConfig, units: Units
) -> tuple[ResNet, float | None, TrunkConfig, int, str]:
    """Return trunk, knee, make of the trunk, side, and whose pre-training it is."""
    recipe = config.section(ClassificationConfig)
    if config.start_from is None:
        made = ResNet(recipe.trunk.architecture, width=recipe.trunk.width)
        side = recipe.side or _SCRATCH_SIDES[recipe.trunk.architecture]
        return made, None, recipe.trunk, side, ""
    encoder, card = load_slice_encoder(config.start_from)
    check_units(units, card.units)
    side = recipe.side or -(-card.slice_side // _STRIDE) * _STRIDE
    pretrained = config.start_from.name if card.trained else ""
    return encoder.trunk, encoder.tone.knee, card.trunk, side, pretrained
