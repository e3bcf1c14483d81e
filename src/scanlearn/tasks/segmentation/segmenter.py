"""Segmenting one scan with a fine-tuned network, back on the scan's own grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanlearn.anatomy.frames import Locator
from scanlearn.anatomy.landmarks import Atlas
from scanlearn.anatomy.lungs import LungMask
from scanlearn.anatomy.pieces import with_largest_pieces
from scanlearn.cohort.intensity import normalised as as_stored
from scanlearn.cohort.preparation.prepare_one import stored_units
from scanlearn.cohort.ready_scan import ready_scan
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.segmentation import ClassConfig
from scanlearn.encoders.patch_places import tile_box
from scanlearn.engine.devices import choose_device, mixed_precision
from scanlearn.nets.location_unet import LocationUNet
from scanlearn.nets.sliding_windows import Progress, sliding_windows
from scanlearn.prediction.ready_volume import ReadyVolume, ready_volume, wrong_units
from scanlearn.prediction.uncertainty import PROBABILITY_STEPS
from scanlearn.scans.geometry import Grid
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Scan
from scanlearn.tasks.segmentation.card import (
    AnyCard,
    SegmenterCard,
    SliceSegmenterCard,
    load_segmenter,
    load_slice_segmenter,
    read_segmenter_card,
)
from scanlearn.tasks.segmentation.crop_windows import segment_crops
from scanlearn.tasks.segmentation.slice_windows import segment_slices
from scanlearn.tasks.segmentation.turned_views import Floats, averaged, view_grids
from scanlearn.views.normalise import normalised, shifted


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
    sd_ml
        Standard deviation of each class's volume over the views of the scan; empty
        where it was looked at once.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.uint8]
    grid: Grid
    classes: tuple[ClassConfig, ...]
    lungs: LungMask | None = None
    sd_ml: tuple[float, ...] = ()

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
        self,
        scan: Scan,
        *,
        overlap: float = 0.25,
        views: int = 1,
        progress: Progress | None = None,
    ) -> SegmentedScan:
        """Segment a scan as it was read.

        Parameters
        ----------
        scan
            In any grid.
        overlap
            Of neighbouring windows.
        views
            How many ways the scan is looked at; the mean of their probabilities counts
            (:mod:`scanlearn.tasks.segmentation.turned_views`).
        progress
            Told how many windows of how many are done.

        Raises
        ------
        BadScan
            If the scan is not of the kind that the network was trained on.
        """
        ready = self._ready(scan)
        told = _of_each_view(progress, views)

        def look(voxels: Floats, grid: Grid) -> Floats:
            volume = normalised(shifted(torch.from_numpy(voxels), self.card.units))
            with mixed_precision(self.device):
                scores = sliding_windows(
                    volume.to(self.device),
                    lambda x, starts: self.network(
                        x, self._boxes(starts, grid, ready.grid, ready.frame)
                    ),
                    window=self.card.tile,
                    overlap=overlap,
                    progress=next(told),
                )
            return scores.cpu().numpy()

        grids = view_grids(ready.grid, views)
        shares, counts = averaged(ready.voxels, grids, look, outside=ready.outside)
        return _segmented(shares, counts, ready.grid, scan.grid, self.card, ready.lungs)

    def _ready(self, scan: Scan) -> ReadyVolume:
        atlas = self.card.atlas
        return ready_volume(
            scan,
            units=self.card.units,
            kind=self.card.frame,
            stored_spacing_mm=self.card.stored_spacing_mm,
            factor=self.card.factor,
            atlas=Atlas.from_dict(atlas) if atlas else None,
        )

    def _boxes(
        self, starts: NDArray[np.int_], shown: Grid, straight: Grid, frame: Locator
    ) -> Tensor:
        """Return the boxes (n, 2, 3) of tiles of a view.

        As in trainings: what a tile shows is turned, its box is not.
        """
        tile, half = self.card.tile, (self.card.tile - 1) / 2
        places = np.asarray(starts, dtype=np.float64)
        if shown is not straight:
            places = straight.to_index(shown.to_patient(places + half)) - half
        boxes = [tile_box(straight, frame, place, tile) for place in places]
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
        self,
        scan: Scan,
        *,
        overlap: float = 0.0,
        views: int = 1,
        progress: Progress | None = None,
    ) -> SegmentedScan:
        """Segment a scan as it was read; slices do not overlap, and turn in the plane.

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
        told = _of_each_view(progress, views)

        def look(voxels: Floats, _grid: Grid) -> Floats:
            with mixed_precision(self.device):
                if self.card.crops:
                    return segment_crops(
                        self.network,
                        voxels,
                        found,
                        crop=self.card.side,
                        axis=self.card.axis,
                        progress=next(told),
                    ).numpy()
                scores = segment_slices(
                    self.network,
                    voxels,
                    intensity,
                    side=self.card.side,
                    neighbours=self.card.neighbours,
                    progress=next(told),
                )
            return scores.numpy()

        grids = view_grids(ready.grid, views, across=self.card.axis)
        shares, counts = averaged(
            stored.astype(np.float32), grids, look, outside=intensity.outside
        )
        return _segmented(shares, counts, ready.grid, scan.grid, self.card, ready.lungs)


def segmenter_of(run: Path) -> Segmenter | SliceSegmenter:
    """Load a fine-tuned segmenter of either kind."""
    of_slices = isinstance(read_segmenter_card(run), SliceSegmenterCard)
    return SliceSegmenter(run) if of_slices else Segmenter(run)


def _of_each_view(progress: Progress | None, views: int) -> Iterator[Progress | None]:
    """Yield for one view after another whom to tell, so that all count together."""
    for number in range(views):

        def tell(done: int, total: int, before: int = number) -> None:
            if progress is not None:
                progress(before * total + done, views * total)

        yield tell


def _segmented(
    shares: Floats,
    counts: Sequence[Floats],
    working: Grid,
    source: Grid,
    card: AnyCard,
    lungs: LungMask | None,
) -> SegmentedScan:
    """Return probabilities of the working grid as a result on the source's.

    Labels keep the largest piece alone of classes that are one; probabilities are as
    the network gave them.
    """
    classes = card.classes
    probabilities = _on_grid(shares, working, source)
    table = np.array([0, *(one.value for one in classes)], np.uint8)
    labels = table[probabilities.argmax(axis=0)]
    labels = with_largest_pieces(labels, card.whole, together=card.together)
    sd_ml: tuple[float, ...] = ()
    if len(counts) > 1:
        volumes = np.stack(counts)[:, 1:] * working.voxel_ml
        sd_ml = tuple(float(sd) for sd in volumes.std(axis=0, ddof=1))
    return SegmentedScan(labels, probabilities, source, classes, lungs, sd_ml)


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
