"""Classifying images by training the whole network on them.

On a pre-trained trunk the layer begins as the logistic regression on its frozen
features, so that the first steps do not undo what it knows (Kumar et al., ICLR 2022),
and batch norm keeps the statistics of the pre-training. From scratch both are learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from scanlearn import processes
from scanlearn.config.classification import ClassificationConfig
from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.engine.recipe import Batch, StepResult
from scanlearn.engine.tile_numbers import tile_batches
from scanlearn.metrics.class_scores import mean_scores, scores_of_classes
from scanlearn.nets.recalibrate import recalibrate_batch_norm
from scanlearn.randomness import numpy_generator
from scanlearn.runs.events import Message
from scanlearn.tasks.classification.card import save_classifier
from scanlearn.tasks.classification.head import fit_head, set_head
from scanlearn.tasks.classification.labelled_images import (
    Classification,
    LabelledImages,
)
from scanlearn.tasks.shared.encoder_start import rated_groups
from scanlearn.tasks.shared.held_out import hold_out
from scanlearn.tasks.shared.viewed_recipe import ViewedRecipe
from scanlearn.views.crop_views import CropViews
from scanlearn.views.normalise import normalised

#: Patients from which some are held out to choose the best checkpoint.
_ENOUGH_PATIENTS = 10

#: Images that batch norm is settled on, at most.
_SETTLING = 256

#: A rare finding weighs at most so many times as much as its absence.
_MOST_WEIGHT = 50.0


class ImageTraining(ViewedRecipe):
    """Trunk and layer, trained on views of labelled images.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`ClassificationConfig`.
    opened
        Network and labelled images.
    """

    score = "AUC"

    def __init__(self, config: RunConfig, opened: Classification) -> None:
        super().__init__(config.engine.seed)
        self.config = config.section(ClassificationConfig)
        self.network, self.card = opened.network, opened.card
        images = opened.images
        train, out = hold_out(
            images.items,
            share=self.config.validation,
            seed=self.seed,
            enough=_ENOUGH_PATIENTS,
        )
        held = {item.scan for item in out}
        self.examples = images.of(_rows(images, held, inside=False))
        self.held_out = images.of(_rows(images, held, inside=True))
        if self.card.pretrained:
            self._probe()
        # No upside-down patients, and by default none with the heart on the right.
        self.views = CropViews(
            size=self.card.side,
            area=(0.6, 1.0),
            rotate_degrees=12.0,
            mirror=self.config.mirror,
            shift_hu=20.0,
            noise_hu=20.0,
            contrast=0.3,
            gamma=(0.7, 1.4),
            field=0.3,
        )
        shown = self.examples.targets.sum(axis=0)
        ratio = (len(train) - shown) / np.maximum(shown, 1)
        self.register_buffer(
            "weights",
            torch.from_numpy(ratio.clip(1 / _MOST_WEIGHT, _MOST_WEIGHT)).float(),
            persistent=False,
        )
        self.weights: Tensor

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the layer on top, and the trunk at its own rate."""
        rate = self.config.encoder_rate if self.card.pretrained else 1.0
        return rated_groups(self.network, self.network.trunk, rate=rate)

    def train(self, mode: bool = True) -> ImageTraining:
        """Set the mode; a pre-trained batch norm keeps its statistics."""
        super().train(mode)
        if self.card.pretrained:
            self.network.trunk.eval()
        return self

    def messages(self) -> list[Message]:
        """Say who is learned from, and who judges."""
        out = len({item.patient for item in self.held_out.items})
        text = f"{len(self.examples)} images to learn from"
        if out:
            text += f", {len(self.held_out)} of {out} patients held out"
        return [Message(text=text)]

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield ``image`` (B, 1, S, S), ``targets`` (B, K) and ``hu`` (B,)."""
        return tile_batches(
            _Draws(self.examples, self.card.several, self.seed),
            self.config.batch,
            first_step=first_step,
            engine=engine,
            accelerator=accelerator,
        )

    def forward(self, batch: Batch) -> StepResult:
        """Return the cross-entropy of a batch of views."""
        logits = self.network(self._view(batch["image"], batch["hu"])).float()
        targets = batch["targets"]
        if self.card.several:
            loss = F.binary_cross_entropy_with_logits(
                logits, targets, pos_weight=self.weights
            )
        else:
            loss = F.cross_entropy(logits, targets.argmax(dim=1))
        return StepResult(loss)

    def validate(self) -> dict[str, float]:
        """Return AUC and average precision on held-out patients."""
        if not len(self.held_out):
            return {}
        self._settle()
        device = self.weights.device
        parts = [
            self.network(self.held_out.stack(rows, device))
            for rows in self.held_out.batches()
        ]
        shares = self.card.probabilities(torch.cat(parts).double().cpu().numpy())
        card = self.card
        truth, names = self.held_out.targets, card.classes
        found = mean_scores(
            scores_of_classes(truth, shares, names, several=card.several)
        )
        self.card = card.model_copy(update={"held_out": found})
        return found

    def export(self, folder: Path, *, step: int) -> None:
        """Write the network with its layer."""
        self._settle()
        card = self.card.model_copy(update={"step": step})
        save_classifier(folder, self.network, card)

    def _settle(self) -> None:
        """Let batch norm describe the images as they are, not the last views.

        A short training's running averages still hold where they began, and all
        probabilities would lean to one side.
        """
        if self.card.pretrained:
            return
        order = numpy_generator(self.seed, "settle").permutation(len(self.examples))
        some, device = order[:_SETTLING], self.weights.device
        size = self.config.batch
        parts = [some[n : n + size].tolist() for n in range(0, len(some), size)]
        recalibrate_batch_norm(
            self.network.trunk,
            # One image alone may leave one value a channel, which has no variance.
            ((self.examples.stack(rows, device),) for rows in parts if len(rows) > 1),
            self.network.features,
        )

    def _probe(self) -> None:
        """Begin with the logistic regression on frozen features."""
        self.network.eval()
        cpu = torch.device("cpu")
        with torch.no_grad():
            parts = [
                self.network.features(self.examples.stack(rows, cpu))
                for rows in self.examples.batches()
            ]
        model = fit_head(
            torch.cat(parts).double().numpy(),
            self.examples.targets,
            several=self.card.several,
            penalty=self.config.penalty,
        )
        set_head(self.network, model)

    def _view(self, image: Tensor, hounsfield: Tensor) -> Tensor:
        if not self.config.augment:
            return normalised(image)
        generator = self.view_draws(image.device)
        draw = processes.share(
            self.views.sample(processes.spread(hounsfield), generator)
        )
        return self.views.apply(image, draw, hounsfield)


@dataclass(frozen=True, eq=False)
class _Draws(Dataset[Batch]):
    """Images by their number in the training: any worker gives the same one.

    Exclusive classes are drawn alike, however rare; findings are not, for an image may
    show several: they are weighed in the loss.
    """

    images: LabelledImages
    several: bool
    seed: int

    def __getitem__(self, number: int) -> Batch:
        rng = numpy_generator(self.seed, "image", number)
        targets = self.images.targets
        rows = np.arange(len(targets))
        if not self.several:
            there = np.flatnonzero(targets.any(axis=0))
            rows = np.flatnonzero(targets[:, int(rng.choice(there))])
        row = int(rng.choice(rows))
        record = self.images.cohort.record(self.images.items[row].scan)
        return {
            "image": self.images.pixels(row),
            "targets": torch.from_numpy(targets[row].astype(np.float32)),
            "hu": torch.tensor(record.intensity.units == "HU"),
        }


def _rows(images: LabelledImages, held: set[str], *, inside: bool) -> NDArray[np.int_]:
    return np.array(
        [n for n, item in enumerate(images.items) if (item.scan in held) == inside],
        dtype=int,
    )
