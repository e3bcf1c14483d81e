"""Segmentation: a 3D U-Net on the pre-trained encoder, from a few labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from scanlearn.cohort.working import WorkingCohorts, WorkingScan
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.encoders.patch_places import tile_box
from scanlearn.engine.recipe import Batch, StepResult
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
from scanlearn.tasks.segmentation.earlier import EarlierVolumes
from scanlearn.tasks.segmentation.learning_scans import learning_scans
from scanlearn.tasks.segmentation.training_views import read_side, training_views
from scanlearn.tasks.segmentation.unet_recipe import UNetRecipe
from scanlearn.tasks.shared.encoder_start import (
    start_of,
    units_as_of,
)
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.shared.label_tiles import (
    LabelledScan,
    TileSampler,
    cut_labels,
    read_tile,
)
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
        section = config.section(SegmentationConfig)
        labels = LabelSet.load(run.inputs).for_training()
        labelled = {item.scan for item in labels.items}
        earlier = EarlierVolumes.of(config.start_from)
        start = (
            earlier.start(config, labelled)
            if earlier
            else start_of(
                config,
                width=section.width,
                spacing_mm=section.spacing_mm,
                labelled=labelled,
            )
        )
        scans = learning_scans(
            section,
            labels,
            start.cohorts,
            units_of=lambda mine: units_as_of(mine, start.card),
            seed=config.engine.seed,
            run=run.path,
        )
        stride = earlier.card.stride if earlier else section.stride
        unet = segmenting_unet(start.encoder, classes=len(scans.classes), stride=stride)
        super().__init__(
            config, scans, unet, pretrained=start.pretrained, earlier=earlier
        )
        self.atlas, self.placed, self.stride = start.atlas, start.placed, stride

    def tiles(self, scans: Sequence[LabelledScan]) -> Dataset[Batch]:
        """Return ``image`` (1, t, t, t), ``labels`` and ``boxes`` (2, 3) by number."""
        sampler = TileSampler(
            list(scans), tile=self.config.tile, foreground=self.config.foreground
        )
        return _Tiles(self.cohorts, sampler, self._margin, seed=self.seed)

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

    @property
    def _margin(self) -> int:
        """How far what is read reaches beyond a tile, for turned views."""
        medium = self.config.augment and self.config.strength == "medium"
        tile = self.config.tile
        return (read_side(tile) - tile) // 2 if medium else 0

    def _view(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        generator = self.view_draws(image.device)
        if self._margin:
            views = training_views(
                self.config,
                size=self.config.tile,
                dims=3,
                hounsfield=self.units == "HU",
            )
            image, labels = views.view(image[:, 0], labels, generator)
            return image[:, None], labels
        maps = _TURN.sample(len(image), generator)
        size = image.shape[-1]
        image = apply_affine(image, maps, size=size)
        turned = apply_affine(labels[:, None].float(), maps, size=size, nearest=True)
        draw = _INTENSITY.sample(len(image), generator)
        return _INTENSITY.apply(image, draw), turned[:, 0].to(labels.dtype)

    def segment(self, number: int, scales: Sequence[float] = (1.0,)) -> Tensor:
        """Return probabilities (1 + classes, S, P, L) of a scan of the cohorts."""
        scan = self.cohorts.scans[number]
        device = next(self.unet.parameters()).device
        whole = self.cohorts.read(number, (0, 0, 0), scan.grid.shape)
        volume = normalised(shifted(torch.from_numpy(whole), scan.units)).to(device)
        seen = [self._at_scale(volume, scan, scale) for scale in scales]
        return torch.stack(seen).mean(dim=0)

    def _at_scale(self, volume: Tensor, scan: WorkingScan, scale: float) -> Tensor:
        """Return probabilities of a volume that is seen larger."""
        tile = self.config.tile

        def network(x: Tensor, starts: NDArray[np.int_]) -> Tensor:
            boxes = [
                tile_box(scan.grid, scan.frame, start / scale, tile / scale)
                for start in starts
            ]
            logits: Tensor = self.trained(
                x, torch.from_numpy(np.stack(boxes)).to(device)
            )
            return logits

        device = volume.device
        size = [max(1, round(scale * n)) for n in volume.shape]
        sized = F.interpolate(volume[None, None], size, mode="trilinear")[0, 0]
        shares = sliding_windows(sized, network, window=tile, overlap=0.25)
        return F.interpolate(shares[None], list(volume.shape), mode="trilinear")[0]

    def export(self, folder: Path, *, step: int) -> None:
        """Write the segmenter with its classes."""
        card = SegmenterCard(
            **shared_facts(self.unet.encoder, self.cohorts.scans[0], self.units),
            tile=self.config.tile,
            atlas=self.atlas.to_dict() if self.atlas else None,
            classes=self.classes,
            stride=self.stride,
            whole=self.whole_values,
            together=self.together,
            pretrained=self.pretrained,
            step=step,
        )
        save_segmenter(folder, self.trained, card)


@dataclass(frozen=True, eq=False)
class _Tiles(Dataset[Batch]):
    """Tiles by their number in the training: any worker gives the same tile."""

    cohorts: WorkingCohorts
    sampler: TileSampler
    #: What is read beyond a tile, on each side.
    margin: int
    seed: int

    def __getitem__(self, number: int) -> Batch:
        index, start = self.sampler.sample(numpy_generator(self.seed, "tile", number))
        scan, side = self.sampler.scans[index], self.sampler.tile
        working = self.cohorts.scans[scan.number]
        # A smaller scan repeats its border at the end, as in a prediction.
        begin, size = start - self.margin, side + 2 * self.margin
        image = torch.from_numpy(read_tile(self.cohorts, scan.number, begin, size))
        box = tile_box(working.grid, working.frame, start, side)
        return {
            "image": shifted(image, working.units)[None],
            "labels": torch.from_numpy(cut_labels(scan.labels, begin, size)),
            "boxes": torch.from_numpy(box),
        }
