"""Segmentation: a 3D U-Net on the pre-trained encoder, from a few labels."""

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
from torch.utils.data import Dataset

from scanlearn.cohort.working import (
    WorkingCohorts,
)
from scanlearn.config.engine import EngineConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.decoder_file import take_decoder
from scanlearn.encoders.patch_places import tile_box
from scanlearn.engine.recipe import Batch, StepResult
from scanlearn.engine.tile_numbers import tile_batches
from scanlearn.nets.segmentation_loss import dice_cross_entropy
from scanlearn.nets.sliding_windows import sliding_windows
from scanlearn.randomness import numpy_generator
from scanlearn.runs.events import Message
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.segmentation.card import (
    SegmenterCard,
    save_segmenter,
    segmenting_unet,
)
from scanlearn.tasks.segmentation.labelled_scans import (
    classes_of,
    labelled_scans,
    mean_dice,
    split_patients,
)
from scanlearn.tasks.segmentation.unet_recipe import UNetRecipe
from scanlearn.tasks.shared.encoder_start import (
    start_of,
    units_as_of,
)
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.shared.label_tiles import TileSampler, cut_labels
from scanlearn.tasks.shared.network_card import shared_facts
from scanlearn.views.affine import AffineViews, apply_affine
from scanlearn.views.intensity import IntensityViews
from scanlearn.views.normalise import normalised, shifted

#: Changes that leave labels true: no mirroring, for left and right are classes.
_TURN = AffineViews(rotate_degrees=12.0, shift_voxels=0.0, scale=0.12)
_INTENSITY = IntensityViews(
    noise=25.0, noise_probability=0.3, gamma=(0.7, 1.4), gamma_probability=0.3
)


class Segmentation(UNetRecipe):
    """Voxel classes from painted slices or whole label maps.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`SegmentationConfig`.
    run
        Where the labels taken at launch are.
    """

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        super().__init__(config)
        labels = LabelSet.load(run.inputs).for_training()
        self.classes = self.config.classes or classes_of(labels)
        start = start_of(
            config,
            width=self.config.width,
            spacing_mm=self.config.spacing_mm,
            labelled={item.scan for item in labels.items},
        )
        self.card, self.pretrained = start.card, start.pretrained
        self.cohorts, self.atlas, self.placed = start.cohorts, start.atlas, start.placed
        scans = labelled_scans(labels, self.cohorts, self.classes)
        self.units = units_as_of(
            [self.cohorts.scans[s.number] for s in scans], self.card
        )
        self.training_scans, self.held_out = split_patients(
            scans, share=self.config.validation, seed=self.seed
        )
        self.unet = segmenting_unet(
            start.encoder, classes=len(self.classes), stride=self.config.stride
        )
        self.whole = take_decoder(self.unet, config.start_from)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return decoder and encoder; pre-trained as a whole, they learn as a whole."""
        free = {"rises_from": 1.0} if self.whole else {}
        return [group | free for group in super().parameter_groups()]

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield ``image`` (B, 1, t, t, t), ``labels`` and ``boxes`` (B, 2, 3)."""
        self._rank = accelerator.process_index
        sampler = TileSampler(
            self.training_scans,
            tile=self.config.tile,
            foreground=self.config.foreground,
        )
        data = _Tiles(self.cohorts, sampler, seed=self.seed)
        return tile_batches(
            data,
            self.config.batch,
            first_step=first_step,
            engine=engine,
            accelerator=accelerator,
        )

    def messages(self) -> list[Message]:
        """Say how the labelled scans were placed in the encoder's atlas."""
        return self.placed.messages() if self.placed else []

    def forward(self, batch: Batch) -> StepResult:
        """Return Dice plus cross-entropy over the labelled voxels of some tiles."""
        image, labels = batch["image"], batch["labels"]
        if self.config.augment:
            image, labels = self._view(image, labels)
        logits = self.unet(normalised(image), batch["boxes"])
        return StepResult(dice_cross_entropy(logits, labels.long()))

    def _view(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        generator = self.view_draws(image.device)
        maps = _TURN.sample(len(image), generator)
        size = image.shape[-1]
        image = apply_affine(image, maps, size=size)
        turned = apply_affine(labels[:, None].float(), maps, size=size, nearest=True)
        draw = _INTENSITY.sample(len(image), generator)
        return _INTENSITY.apply(image, draw), turned[:, 0].to(labels.dtype)

    def validate(self) -> dict[str, float]:
        """Return the Dice of each class over held-out scans, and their mean."""
        return mean_dice(
            self.held_out, self.classes, lambda scan: self._segment(scan.number)
        )

    def _segment(self, number: int) -> NDArray[np.int_]:
        scan = self.cohorts.scans[number]
        device = next(self.unet.parameters()).device
        whole = self.cohorts.read(number, (0, 0, 0), scan.grid.shape)
        volume = normalised(shifted(torch.from_numpy(whole), scan.units)).to(device)
        tile = self.config.tile

        def network(x: Tensor, starts: NDArray[np.int_]) -> Tensor:
            boxes = [tile_box(scan.grid, scan.frame, start, tile) for start in starts]
            logits: Tensor = self.unet(x, torch.from_numpy(np.stack(boxes)).to(device))
            return logits

        scores = sliding_windows(volume, network, window=tile, overlap=0.25)
        return scores.argmax(dim=0).cpu().numpy()

    def export(self, folder: Path, *, step: int) -> None:
        """Write the segmenter with its classes."""
        card = SegmenterCard(
            **shared_facts(self.unet.encoder, self.cohorts.scans[0], self.units),
            tile=self.config.tile,
            atlas=self.atlas.to_dict() if self.atlas else None,
            classes=self.classes,
            stride=self.config.stride,
            pretrained=self.pretrained,
            step=step,
        )
        save_segmenter(folder, self.unet, card)


@dataclass(frozen=True, eq=False)
class _Tiles(Dataset[Batch]):
    """Tiles by their number in the training: any worker gives the same tile."""

    cohorts: WorkingCohorts
    sampler: TileSampler
    seed: int

    def __getitem__(self, number: int) -> Batch:
        index, start = self.sampler.sample(numpy_generator(self.seed, "tile", number))
        scan, side = self.sampler.scans[index], self.sampler.tile
        working = self.cohorts.scans[scan.number]
        # A smaller scan repeats its border at the end, as in a prediction.
        size = np.minimum(side, working.grid.shape)
        voxels = self.cohorts.read(scan.number, start, size)
        voxels = np.pad(voxels, [(0, side - n) for n in size], mode="edge")
        image = torch.from_numpy(voxels)
        box = tile_box(working.grid, working.frame, start, side)
        return {
            "image": shifted(image, working.units)[None],
            "labels": torch.from_numpy(cut_labels(scan.labels, start, side)),
            "boxes": torch.from_numpy(box),
        }
