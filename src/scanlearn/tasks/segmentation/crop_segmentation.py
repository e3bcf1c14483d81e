"""Segmentation of slices by crops of the cohort's own pixels, also from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.engine.recipe import Batch, StepResult
from scanlearn.nets.segmentation_loss import dice_cross_entropy
from scanlearn.nets.slice_unet import SliceUNet
from scanlearn.randomness import numpy_generator
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.segmentation.card import SliceSegmenterCard, save_segmenter
from scanlearn.tasks.segmentation.crop_windows import segment_crops
from scanlearn.tasks.segmentation.learning_scans import slice_beginning
from scanlearn.tasks.segmentation.training_views import read_side, training_views
from scanlearn.tasks.segmentation.unet_recipe import UNetRecipe
from scanlearn.tasks.shared.label_tiles import (
    LabelledScan,
    TileSampler,
    cut_labels,
    read_tile,
)
from scanlearn.views.normalise import normalised, shifted


class CropSegmentation(UNetRecipe):
    """Pixel classes of slices, from painted slices or whole label maps.

    Parameters
    ----------
    config
        The whole configuration.
    run
        Where the labels taken at launch are.
    """

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        section = config.section(SegmentationConfig)
        earlier, start, scans = slice_beginning(config, run)
        stride = earlier.card.stride if earlier else section.stride
        unet = SliceUNet(
            start.encoder,
            classes=len(scans.classes) + 1,
            context=False,
            stride=stride,
            full=True,
        )
        super().__init__(
            config, scans, unet, pretrained=start.pretrained, earlier=earlier
        )
        self.start = start
        self.stride = stride
        self.views = training_views(
            self.config, size=self.config.crop, dims=2, hounsfield=self.units == "HU"
        )

    def tiles(self, scans: Sequence[LabelledScan]) -> Dataset[Batch]:
        """Return ``image`` and ``labels`` (S, S), by number.

        They are larger than a crop where they are to be turned.
        """
        sampler = TileSampler(
            list(scans),
            tile=self.config.crop,
            foreground=self.config.foreground,
            across=self.config.slice_axis,
        )
        crop = self.config.crop
        side = read_side(crop) if self.config.augment else crop
        return _Crops(self.cohorts, sampler, self.config.slice_axis, side, self.seed)

    def forward(self, batch: Batch) -> StepResult:
        """Return Dice plus cross-entropy over the labelled pixels of some crops."""
        image, labels = batch["image"], batch["labels"]
        if self.config.augment:
            draws = self.view_draws(image.device)
            image, labels = self.views.view(image, labels, draws)
        logits = self.unet(normalised(image)[:, None])
        return StepResult(dice_cross_entropy(logits, labels[:, None].long()))

    def segment(self, number: int, scales: Sequence[float] = (1.0,)) -> Tensor:
        """Return probabilities (1 + classes, S, P, L) of a scan of the cohorts."""
        scan = self.cohorts.scans[number]
        return segment_crops(
            self.trained,
            self.cohorts.read(number, (0, 0, 0), scan.grid.shape),
            scan.units,
            crop=self.config.crop,
            axis=self.config.slice_axis,
            scales=scales,
        )

    def export(self, folder: Path, *, step: int) -> None:
        """Write the segmenter with its classes."""
        card = SliceSegmenterCard(
            trunk=self.start.trunk,
            transformer=self.start.transformer,
            knee=self.unet.encoder.tone.knee,
            context=False,
            side=self.config.crop,
            crops=True,
            axis=self.config.slice_axis,
            neighbours=1,
            stride=self.stride,
            stored_spacing_mm=self.cohorts.scans[0].record.spacing_mm,
            units=self.units,
            classes=self.classes,
            whole=self.whole_values,
            together=self.together,
            pretrained=self.pretrained,
            step=step,
        )
        save_segmenter(folder, self.trained, card)


@dataclass(frozen=True, eq=False)
class _Crops(Dataset[Batch]):
    """Crops by their number in the training: any worker gives the same one."""

    cohorts: WorkingCohorts
    sampler: TileSampler
    axis: int
    side: int
    seed: int

    def __getitem__(self, number: int) -> Batch:
        index, start = self.sampler.sample(numpy_generator(self.seed, "crop", number))
        scan, thin = self.sampler.scans[index], np.arange(3) == self.axis
        size = np.where(thin, 1, self.side)
        begin = np.where(thin, start, start - (self.side - self.sampler.tile) // 2)
        voxels = read_tile(self.cohorts, scan.number, begin, size)
        units = self.cohorts.scans[scan.number].units
        labels = cut_labels(scan.labels, begin, size).squeeze(self.axis)
        return {
            "image": shifted(torch.from_numpy(voxels).squeeze(self.axis), units),
            "labels": torch.from_numpy(labels),
        }
