"""Segmentation slice by slice: a U-Net on the trunk of a joint pre-training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from scanlearn import processes
from scanlearn.cohort.slices import squared
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.encoders.pixels import pixels_of
from scanlearn.engine.recipe import Batch, StepResult
from scanlearn.nets.segmentation_loss import IGNORE, dice_cross_entropy
from scanlearn.nets.slice_unet import SliceUNet
from scanlearn.randomness import numpy_generator
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.segmentation.card import SliceSegmenterCard, save_segmenter
from scanlearn.tasks.segmentation.learning_scans import slice_beginning
from scanlearn.tasks.segmentation.slice_windows import segment_slices
from scanlearn.tasks.segmentation.unet_recipe import UNetRecipe
from scanlearn.tasks.shared.label_tiles import LabelledScan
from scanlearn.views.crop_views import CropViews
from scanlearn.views.normalise import normalised, shifted

#: Learning rate relative to the configured one, which volumes bear: at more of it one
#: class may win everywhere and keep others out (docs/segmentation_evidence.md).
_RATE = 0.2

#: Pixels of a slice at most, unless more are asked for.
_SIDE, _STRIDE = 128, 32


class SliceSegmentation(UNetRecipe):
    """Pixel classes of slices, from painted slices or whole label maps.

    Parameters
    ----------
    config
        The whole configuration; it starts from a run with an encoder of slices.
    run
        Where the labels taken at launch are.
    """

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        section = config.section(SegmentationConfig)
        earlier, start, scans = slice_beginning(config, run)
        unet = SliceUNet(
            start.encoder,
            classes=len(scans.classes) + 1,
            context=section.context,
        )
        super().__init__(
            config, scans, unet, pretrained=start.pretrained, earlier=earlier
        )
        self.start = start
        self.side = section.side or _side_of([*self.training_scans, *self.held_out])
        # In the plane only, and no mirroring, for left and right are classes.
        self.views = CropViews(
            size=self.side,
            area=(0.7, 1.0),
            rotate_degrees=12.0,
            mirror=0.0,
            shift_hu=20.0,
            noise_hu=20.0,
            contrast=0.2,
            gamma=(0.8, 1.25),
            field=0.2,
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the decoder and the encoder, each at the rate that slices bear."""
        return [
            group | {"rate": _RATE * group.get("rate", 1.0)}
            for group in super().parameter_groups()
        ]

    @property
    def tiles_a_step(self) -> int:
        """How many stacks make a batch of slices."""
        return max(1, self.config.batch // self._depth)

    @property
    def _depth(self) -> int:
        # Slices without a context need no neighbours, and differ more without them.
        return self.config.neighbours if self.config.context else 1

    def tiles(self, scans: Sequence[LabelledScan]) -> Dataset[Batch]:
        """Return ``image`` and ``labels`` (L, S, S), and ``hu``, by number."""
        return _Stacks(
            self.cohorts,
            list(scans),
            self._depth,
            self.side,
            self.config.foreground,
            self.seed,
        )

    def forward(self, batch: Batch) -> StepResult:
        """Return Dice plus cross-entropy over the labelled pixels of some stacks."""
        image, labels = batch["image"], batch["labels"]
        if self.config.augment:
            image, labels = self._view(image, labels, batch["hu"])
        else:
            image = normalised(image)
        return StepResult(dice_cross_entropy(self.unet(image), labels.long()))

    def _view(
        self, image: Tensor, labels: Tensor, hounsfield: Tensor
    ) -> tuple[Tensor, Tensor]:
        generator = self.view_draws(image.device)
        draw = processes.share(
            self.views.sample(processes.spread(hounsfield), generator)
        )
        grid = F.affine_grid(draw.maps, [len(image), 1, *image.shape[2:]], False)
        turned = F.grid_sample(
            labels.float(), grid, "nearest", padding_mode="border", align_corners=False
        )
        return self.views.apply(image, draw, hounsfield), turned.to(labels.dtype)

    def segment(self, number: int, scales: Sequence[float] = (1.0,)) -> Tensor:
        """Return probabilities (1 + classes, S, P, L) of a scan of the cohorts."""
        scan = self.cohorts.scans[number]
        stored = self.cohorts.read(number, (0, 0, 0), scan.grid.shape)
        seen = [
            segment_slices(
                self.trained,
                stored,
                scan.record.intensity,
                side=max(1, round(scale * self.side / _STRIDE)) * _STRIDE,
                neighbours=self.config.neighbours,
            )
            for scale in scales
        ]
        return torch.stack(seen).mean(dim=0)

    def export(self, folder: Path, *, step: int) -> None:
        """Write the segmenter with its classes."""
        first = self.cohorts.scans[0]
        card = SliceSegmenterCard(
            trunk=self.start.trunk,
            transformer=self.start.transformer,
            knee=self.unet.encoder.tone.knee,
            context=self.config.context,
            side=self.side,
            neighbours=self.config.neighbours,
            stored_spacing_mm=first.record.spacing_mm,
            units=self.units,
            classes=self.classes,
            whole=self.whole_values,
            together=self.together,
            pretrained=self.pretrained,
            step=step,
        )
        save_segmenter(folder, self.trained, card)


@dataclass(frozen=True, eq=False)
class _Stacks(Dataset[Batch]):
    """Stacks by their number in the training: any worker gives the same one.

    Parameters
    ----------
    cohorts, scans
        What the slices are taken from.
    depth, side
        Slices of a stack, pixels of a slice.
    foreground
        Share of stacks that show a class.
    seed
        Of the training.
    """

    cohorts: WorkingCohorts
    scans: list[LabelledScan]
    depth: int
    side: int
    foreground: float
    seed: int

    def __getitem__(self, number: int) -> Batch:
        rng = numpy_generator(self.seed, "stack", number)
        labelled = self.scans[int(rng.integers(len(self.scans)))]
        middle = int(rng.choice(self._slices(labelled, rng)))
        first = middle - int(rng.integers(self.depth))
        # Beyond either end the last slice is repeated, without its labels.
        wanted = np.arange(first, first + self.depth)
        there = np.clip(wanted, 0, len(labelled.labels) - 1)
        scan = self.cohorts.scans[labelled.number]
        low, high = int(there.min()), int(there.max()) + 1
        height, width = scan.grid.shape[1:]
        shape = (high - low, height, width)
        stored = self.cohorts.read(labelled.number, (low, 0, 0), shape)
        outside = scan.record.intensity.outside
        pixels = torch.from_numpy(squared(stored[there - low], outside))
        labels = labelled.labels[there].copy()
        labels[wanted != there] = IGNORE
        square = squared(labels.astype(np.float32), IGNORE)
        return {
            "image": pixels_of(shifted(pixels, scan.units), self.side),
            "labels": F.interpolate(
                torch.from_numpy(square)[None], size=[self.side] * 2
            )[0].to(torch.uint8),
            "hu": torch.tensor(scan.units == "HU"),
        }

    def _slices(self, scan: LabelledScan, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the slices that a stack may hold: of a class, or labelled at all."""
        flat = scan.labels.reshape(len(scan.labels), -1)
        known = np.flatnonzero((flat != IGNORE).any(axis=1))
        values = np.unique(flat[known])
        values = values[(values > 0) & (values != IGNORE)]
        if len(values) and rng.random() < self.foreground:
            return np.flatnonzero((flat == rng.choice(values)).any(axis=1))
        return known


def _side_of(scans: Sequence[LabelledScan]) -> int:
    """Return a side that shows every pixel of the slices, or the usual one."""
    longest = max(int(n) for scan in scans for n in scan.labels.shape[1:])
    return min(_SIDE, -(-longest // _STRIDE) * _STRIDE)
