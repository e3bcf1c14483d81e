"""Segmenting one scan with a fine-tuned network, back on the scan's own grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanlearn.anatomy.frames import Locator
from scanlearn.anatomy.landmarks import Atlas
from scanlearn.anatomy.lungs import LungMask
from scanlearn.cohort.intensity import normalised as as_stored
from scanlearn.cohort.prepare_one import stored_units
from scanlearn.cohort.ready_scan import ready_scan
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.segmentation import ClassConfig
from scanlearn.engine.devices import choose_device, mixed_precision
from scanlearn.nets.location_unet import LocationUNet
from scanlearn.nets.sliding_windows import Progress, sliding_windows
from scanlearn.predict.ready_volume import ReadyVolume, ready_volume, wrong_units
from scanlearn.recipes.finetune.label_tiles import tile_box
from scanlearn.recipes.finetune.segmenter_file import (
    SegmenterCard,
    SliceSegmenterCard,
    load_segmenter,
    load_slice_segmenter,
    read_segmenter_card,
)
from scanlearn.recipes.finetune.slice_windows import segment_slices
from scanlearn.scans.geometry import Grid
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Scan
from scanlearn.views.normalise import normalised, shifted

#: Probabilities are kept in steps of 1/255: finer than any two trainings agree.
PROBABILITY_STEPS = 255


@dataclass(frozen=True, eq=False)
class SegmentedScan:
    """A prediction on the grid of its source.

    Parameters
    ----------
    labels
        uint8 class values of the training labels, 0 where background.
    probabilities
        (1 + classes, *shape) uint8 in steps of 1 / :data:`PROBABILITY_STEPS`;
        background first.
    grid
        The source grid.
    classes
        Values and names, in the order of the probabilities.
    lungs
        Lung mask of a CT.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.uint8]
    grid: Grid
    classes: tuple[ClassConfig, ...]
    lungs: LungMask | None = None

    def volume_ml(self, value: int) -> float:
        """Return the volume of a class."""
        return float(np.count_nonzero(self.labels == value)) * self.grid.voxel_ml


class Segmenter:
    """A fine-tuned run, loaded once for any number of scans.

    Parameters
    ----------
    run
        Folder of the run.
    """

    def __init__(self, run: Path) -> None:
        self.network: LocationUNet
        self.card: SegmenterCard
        self.network, self.card = load_segmenter(run)
        self.device = torch.device(choose_device("auto"))
        self.network.to(self.device)

    def segment(
        self, scan: Scan, *, overlap: float = 0.25, progress: Progress | None = None
    ) -> SegmentedScan:
        """Segment a scan as it was read.

        Raises
        ------
        BadScan
            If the scan is not of the kind that the network was trained on.
        """
        volume, ready = self._network_input(scan)
        grid, frame = ready.grid, ready.frame
        with mixed_precision(self.device):
            scores = sliding_windows(
                volume,
                lambda x, starts: self.network(x, self._boxes(starts, grid, frame)),
                window=self.card.tile,
                overlap=overlap,
                progress=progress,
            )
        probabilities = _on_grid(scores.cpu().numpy(), grid, scan.grid)
        table = np.array([0, *(one.value for one in self.card.classes)], np.uint8)
        labels = table[probabilities.argmax(axis=0)]
        classes = self.card.classes
        return SegmentedScan(labels, probabilities, scan.grid, classes, ready.lungs)

    def _network_input(self, scan: Scan) -> tuple[Tensor, ReadyVolume]:
        atlas = self.card.atlas
        ready = ready_volume(
            scan,
            units=self.card.units,
            kind=self.card.frame,
            stored_spacing_mm=self.card.stored_spacing_mm,
            factor=self.card.factor,
            atlas=Atlas.from_dict(atlas) if atlas else None,
        )
        volume = normalised(shifted(torch.from_numpy(ready.voxels), self.card.units))
        return volume.to(self.device), ready

    def _boxes(self, starts: NDArray[np.int_], grid: Grid, frame: Locator) -> Tensor:
        boxes = [tile_box(grid, frame, start, self.card.tile) for start in starts]
        return torch.from_numpy(np.stack(boxes)).to(self.device)


class SliceSegmenter:
    """The same of a run that started from an encoder of slices.

    Parameters
    ----------
    run
        Folder of the run.
    """

    def __init__(self, run: Path) -> None:
        self.network, self.card = load_slice_segmenter(run)
        self.device = torch.device(choose_device("auto"))
        self.network.to(self.device)

    def segment(
        self, scan: Scan, *, overlap: float = 0.0, progress: Progress | None = None
    ) -> SegmentedScan:
        """Segment a scan as it was read; slices do not overlap.

        Raises
        ------
        BadScan
            If the scan is not of the kind that the network was trained on.
        """
        found = stored_units(scan)
        if found != self.card.units or scan.is_radiograph:
            raise wrong_units(found, self.card.units)
        ready = ready_scan(scan, PrepareConfig(spacing_mm=self.card.stored_spacing_mm))
        stored, intensity = as_stored(ready.voxels, found)
        with mixed_precision(self.device):
            scores = segment_slices(
                self.network,
                stored.astype(np.float32),
                intensity,
                side=self.card.side,
                neighbours=self.card.neighbours,
                progress=progress,
            )
        probabilities = _on_grid(scores.numpy(), ready.grid, scan.grid)
        table = np.array([0, *(one.value for one in self.card.classes)], np.uint8)
        labels = table[probabilities.argmax(axis=0)]
        classes = self.card.classes
        return SegmentedScan(labels, probabilities, scan.grid, classes, ready.lungs)


def segmenter_of(run: Path) -> Segmenter | SliceSegmenter:
    """Load a fine-tuned segmenter of either kind."""
    of_slices = isinstance(read_segmenter_card(run), SliceSegmenterCard)
    return SliceSegmenter(run) if of_slices else Segmenter(run)


def _on_grid(
    scores: NDArray[np.float32], working: Grid, source: Grid
) -> NDArray[np.uint8]:
    """Carry probabilities (C, ...) to the source grid, one class at a time."""
    result = np.empty((len(scores), *source.shape), dtype=np.uint8)
    for index, score in enumerate(scores):
        outside = 1.0 if index == 0 else 0.0
        there = resample(score, working, source, order=1, outside=outside)
        result[index] = np.rint(there * PROBABILITY_STEPS)
    return result
