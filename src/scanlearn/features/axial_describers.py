"""Axial patches around places: by hand, or as an encoder of slices sees them."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.ready_scan import ready_scan
from scanlearn.cohort.slices import even, squared
from scanlearn.cohort.store import filled_box
from scanlearn.config.prepare import PrepareConfig
from scanlearn.encoders.encoder_file import (
    CARD,
    WEIGHTS,
    load_slice_encoder,
    save_weights,
)
from scanlearn.encoders.pixels import pixels_of
from scanlearn.engine.devices import choose_device
from scanlearn.errors import BadLabels, BadScan
from scanlearn.features.describer import BATCH, Floats, Points, copy_encoder
from scanlearn.features.handmade import handmade_features, histogram_features
from scanlearn.features.linear import PENALTY, TRUNK_PENALTY
from scanlearn.prediction.each_scan import Progress
from scanlearn.prediction.representation.dense import DenseFeatures, places_worth
from scanlearn.prediction.representation.encoder_scans import EncoderScan
from scanlearn.runs.events import Event
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Scan
from scanlearn.views.normalise import Units, normalised, shifted

#: Pixels of the finest patch that texture can be measured on.
_LEAST_PIXELS = 7

#: Slices that stand for a volume.
_SLICES = 32


class AxialDescriber(ABC):
    """Axial patches around places, brought to the voxel size of the labelled cohort.

    Parameters
    ----------
    patch_mm
        Side of the patches; a 2D patch is taken whole.
    spacing_mm
        (S, P, L) voxel size.
    """

    #: What stored intensities may be.
    units: tuple[Units, ...] = ("HU",)
    penalty = PENALTY

    def __init__(self, patch_mm: float, spacing_mm: tuple[float, float, float]) -> None:
        self.patch_mm, self.spacing_mm = patch_mm, spacing_mm

    @abstractmethod
    def describe(self, patches: Floats) -> Floats:
        """Describe patches (n, H, W) of stored intensities: (n, d)."""

    @abstractmethod
    def whole(self, scan: EncoderScan) -> Floats:
        """Describe a whole scan (d,)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Copy what it needs into a run's ``checkpoints/``."""

    def from_cohort(
        self, path: Path, keys: Collection[str], told: list[Event]
    ) -> Iterator[EncoderScan]:
        """Yield the scans; raises BadLabels where intensities mean something else."""
        cohort = Cohort(path)
        for record in cohort.records():
            if record.key not in keys:
                continue
            if record.intensity.units not in self.units:
                raise BadLabels(
                    f"The intensities of {record.key} are {record.intensity.units}",
                    expected=f"{' or '.join(self.units)}",
                    next_step="Start from an encoder that was trained on such scans",
                )
            lungs = cohort.lungs(record.key)
            mask = lungs and (lungs[0] > 0, lungs[1])
            read = partial(_stored, cohort, record.key)
            yield EncoderScan(
                record.key, record.patient, record.grid, record.frame, mask, read
            )

    def from_memory(self, scan: Scan) -> EncoderScan:
        """Bring a CT to the voxel size."""
        if scan.acquisition.units != "HU":
            raise BadScan(
                "The scan is not in Hounsfield units",
                expected="a CT, as the model was trained on",
                next_step="Choose another scan or another model",
            )
        ready = ready_scan(scan, PrepareConfig(spacing_mm=self.spacing_mm))
        lungs = ready.lungs
        mask = None if lungs is None else (lungs.mask > 0, lungs.grid)
        read = partial(_box, ready.voxels)
        return EncoderScan("", "", ready.grid, ready.frame, mask, read)

    def at(self, scan: EncoderScan, points: Points) -> Floats:
        """Describe axial patches centred on places."""
        return self.describe(self._cut(scan, points))

    def everywhere(
        self, scan: EncoderScan, stride_mm: float, progress: Progress
    ) -> DenseFeatures:
        """Describe a regular grid, place by place."""
        grid, known = places_worth(scan, self.patch_mm, stride_mm)
        cells = np.argwhere(known)
        centres = grid.to_patient(cells).tolist()
        found = []
        for first in range(0, len(cells), BATCH):
            some = [(x, y, z) for x, y, z in centres[first : first + BATCH]]
            found.append(self.at(scan, some))
            progress(first + len(some), len(cells))
        width = found[0].shape[1] if found else 0
        features = np.zeros((width, *grid.shape), np.float32)
        if found:
            features[:, known] = np.concatenate(found).T
        return DenseFeatures(features, known, grid)

    def _cut(self, scan: EncoderScan, points: Points) -> Floats:
        side = max(_LEAST_PIXELS, round(self.patch_mm / scan.grid.spacing_mm[1]))
        shape = (1, side, side)
        patches = []
        for point in points:
            if point is None:
                patch = scan.read((0, 0, 0), scan.grid.shape)
            else:
                centre = scan.grid.to_index(np.array([point]))[0]
                start = np.rint(centre - (np.array(shape) - 1) / 2).astype(int)
                patch = scan.read(start, shape)
            patches.append(np.asarray(patch[0], dtype=np.float32))
        return np.stack(patches)


class HandmadeDescriber(AxialDescriber):
    """Densities and texture of axial patches; needs Hounsfield units and no encoder."""

    def describe(self, patches: Floats) -> Floats:
        """Describe patches (n, H, W) in HU."""
        return handmade_features(patches)

    def whole(self, scan: EncoderScan) -> Floats:
        """Return the density histogram of the lungs; of all voxels without a mask."""
        hu = scan.read((0, 0, 0), scan.grid.shape)
        if scan.lungs is not None:
            mask, grid = scan.lungs
            there = resample(mask.astype(np.uint8), grid, scan.grid, order=0, outside=0)
            hu = hu[np.asarray(there, dtype=bool)]
        found: Floats = histogram_features(hu.reshape(1, 1, -1))[0]
        return found

    def save(self, folder: Path) -> None:
        """Keep nothing: the model's card says it all."""


class SliceDescriber(AxialDescriber):
    """Axial patches as a pre-trained encoder of slices sees them.

    Parameters
    ----------
    run
        A run with such an encoder.
    patch_mm, spacing_mm
        See :class:`AxialDescriber`.
    turned
        Whether a patch is described by the mean over its eight images under right
        angles and mirroring, which cost eight times as much. Whole slices never are.
    """

    penalty = TRUNK_PENALTY

    def __init__(
        self,
        run: Path,
        patch_mm: float,
        spacing_mm: tuple[float, float, float],
        *,
        turned: bool = False,
    ) -> None:
        super().__init__(patch_mm, spacing_mm)
        self.run, self.turned = run, turned
        self.encoder, self.card = load_slice_encoder(run)
        self.encoder.to(choose_device("auto"))
        self.units = self.card.units

    def describe(self, patches: Floats) -> Floats:
        """Return the joined stages of the trunk for patches (n, H, W)."""
        if not self.turned:
            return self._seen(patches)
        found = [
            self._seen(np.rot90(side, turns, axes=(1, 2)))
            for side in (patches, patches[:, :, ::-1])
            for turns in range(4)
        ]
        mean: Floats = np.mean(found, axis=0, dtype=np.float32)
        return mean

    @property
    def module(self) -> nn.Module:
        """The encoder, to be trained."""
        return self.encoder

    def cut(self, scan: EncoderScan, points: Points) -> tuple[Tensor, Tensor]:
        """Return axial patches (n, S, S) in [0, 1264]; slices have no locations."""
        return self._pixels(self._cut(scan, points)), torch.zeros(len(points), 0)

    def encode(self, x: Tensor, locations: Tensor) -> Tensor:
        """Return the joined stages of the trunk for such patches: (n, d)."""
        joined, _ = self.encoder.images(normalised(x)[:, None])
        return joined.float()

    def save_trained(self, folder: Path) -> None:
        """Write the encoder as it is now."""
        save_weights(folder / WEIGHTS, self.encoder.state_dict())
        shutil.copyfile(self.run / "checkpoints" / CARD, folder / CARD)

    def _seen(self, patches: Floats) -> Floats:
        x = self._pixels(patches).to(next(self.encoder.parameters()).device)
        with torch.inference_mode():
            found: Floats = self.encode(x, torch.empty(0)).cpu().numpy()
        return found

    def _pixels(self, patches: Floats) -> Tensor:
        squares = squared(patches, float(patches.min()))
        x = shifted(torch.from_numpy(squares), self.units[0])
        return pixels_of(x, self.card.slice_side)

    def whole(self, scan: EncoderScan) -> Floats:
        """Return mean and spread of the vectors of evenly spread slices."""
        depth, *plane = scan.grid.shape
        chosen = even(depth, _SLICES)
        slices = [scan.read((n, 0, 0), (1, *plane))[0] for n in chosen]
        vectors = self._seen(np.stack(slices))
        return np.concatenate([vectors.mean(axis=0), vectors.std(axis=0)])

    def save(self, folder: Path) -> None:
        """Copy the encoder."""
        copy_encoder(self.run, folder)


def _stored(cohort: Cohort, key: str, start: ArrayLike, shape: ArrayLike) -> Floats:
    return np.asarray(cohort.read_box(key, start, shape), dtype=np.float32)


def _box(voxels: NDArray[np.generic], start: ArrayLike, shape: ArrayLike) -> Floats:
    return filled_box(voxels, start, shape, -1024.0).astype(np.float32, copy=False)
