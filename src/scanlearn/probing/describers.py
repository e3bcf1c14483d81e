"""What turns places of scans into features: an encoder, or densities and texture.

One small interface, so that every encoder can be used: what a place looks like, and
the same for a regular grid of places.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.prepare_one import ready_scan
from scanlearn.cohort.slices import even, squared
from scanlearn.cohort.store import filled_box
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadLabels, BadScan
from scanlearn.predict.dense import DenseFeatures, dense_features, places_worth
from scanlearn.predict.each_scan import Progress
from scanlearn.predict.embedding import Embedder
from scanlearn.predict.encoder_scans import (
    EncoderScan,
    cohort_scans,
    scan_in_memory,
)
from scanlearn.probing.handmade import handmade_features, histogram_features
from scanlearn.recipes.encoder_file import (
    CARD,
    WEIGHTS,
    EncoderCard,
    load_slice_encoder,
    read_card,
)
from scanlearn.recipes.pretrain.slice_batches import pixels_of
from scanlearn.runs.events import Event
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Scan
from scanlearn.views.normalise import Units, normalised, shifted

Floats = NDArray[np.float32]
Points = Sequence[tuple[float, float, float] | None]

#: Who describes: an encoder of patches or of slices, or none.
Features = Literal["patches", "slices", "handmade"]

_BATCH = 64

#: Slices that stand for a volume.
_SLICES = 32

#: Pixels of the finest patch that texture can be measured on.
_LEAST_PIXELS = 7


class Describer(Protocol):
    """Describes places of scans by numbers."""

    def from_cohort(
        self, path: Path, keys: Collection[str], told: list[Event]
    ) -> Iterator[EncoderScan]:
        """Yield the named scans of a cohort that it can describe."""
        ...

    def from_memory(self, scan: Scan) -> EncoderScan:
        """Return a scan that was read, prepared as its cohort was."""
        ...

    def at(self, scan: EncoderScan, points: Points) -> Floats:
        """Describe places (n, d); None is all of a patch."""
        ...

    def everywhere(
        self, scan: EncoderScan, stride_mm: float, progress: Progress
    ) -> DenseFeatures:
        """Describe the places of a regular grid over the lungs."""
        ...

    def whole(self, scan: EncoderScan) -> Floats:
        """Describe a whole scan (d,)."""
        ...

    def save(self, folder: Path) -> None:
        """Copy what it needs into a run's ``checkpoints/``."""
        ...


class EncoderDescriber:
    """The patches around places, as a pre-trained 3D encoder sees them.

    Parameters
    ----------
    run
        A run with an encoder: the pre-training, or a fine-tuning that keeps a copy.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.embedder = Embedder(run, precision="auto")

    def from_cohort(
        self, path: Path, keys: Collection[str], told: list[Event]
    ) -> Iterator[EncoderScan]:
        """Yield the scans that its atlas fits."""
        yield from cohort_scans(path, self.embedder.card, told.append, only=keys)

    def from_memory(self, scan: Scan) -> EncoderScan:
        """Prepare a scan; raises BadScan where it is of another kind."""
        return scan_in_memory(scan, self.embedder.card, key="")

    def at(self, scan: EncoderScan, points: Points) -> Floats:
        """Describe the patches centred on places."""
        centres = np.array([point for point in points if point is not None])
        if len(centres) < len(points):
            raise BadLabels(
                f"{scan.key} is a 2D patch, which a 3D encoder cannot see",
                expected="places in volumes",
                next_step="Start from scratch: densities and texture describe it",
            )
        side = self.embedder.card.patch_voxels
        starts = np.rint(scan.grid.to_index(centres) - (side - 1) / 2).astype(int)
        found = []
        for first in range(0, len(centres), _BATCH):
            part = slice(first, first + _BATCH)
            voxels = np.stack([scan.read(start, (side,) * 3) for start in starts[part]])
            where = scan.frame.to_location(centres[part])
            found.append(self.embedder.encode_placed(voxels, where))
        return np.concatenate(found)

    def everywhere(
        self, scan: EncoderScan, stride_mm: float, progress: Progress
    ) -> DenseFeatures:
        """Describe a regular grid: in one pass where the encoder can."""
        return dense_features(self.embedder, scan, stride_mm, progress=progress)

    def whole(self, scan: EncoderScan) -> Floats:
        """Return mean and spread of the landmarks' vectors, by lung fraction."""
        vector: Floats = self.embedder.scans([scan])[0].pooled("lungs")
        return vector

    def save(self, folder: Path) -> None:
        """Copy the encoder."""
        _copy_encoder(self.run, folder)


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
        for first in range(0, len(cells), _BATCH):
            some = [(x, y, z) for x, y, z in centres[first : first + _BATCH]]
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
    """

    def __init__(
        self, run: Path, patch_mm: float, spacing_mm: tuple[float, float, float]
    ) -> None:
        super().__init__(patch_mm, spacing_mm)
        self.run = run
        self.encoder, self.card = load_slice_encoder(run)
        self.units = self.card.units

    def describe(self, patches: Floats) -> Floats:
        """Return the joined stages of the trunk for patches (n, H, W)."""
        import torch

        squares = squared(patches, float(patches.min()))
        x = shifted(torch.from_numpy(squares), self.units[0])
        pixels = normalised(pixels_of(x, self.card.slice_side))
        with torch.inference_mode():
            joined, _ = self.encoder.images(pixels[:, None])
        return joined.float().numpy()

    def whole(self, scan: EncoderScan) -> Floats:
        """Return mean and spread of the vectors of evenly spread slices."""
        depth, *plane = scan.grid.shape
        chosen = even(depth, _SLICES)
        slices = [scan.read((n, 0, 0), (1, *plane))[0] for n in chosen]
        vectors = self.describe(np.stack(slices))
        return np.concatenate([vectors.mean(axis=0), vectors.std(axis=0)])

    def save(self, folder: Path) -> None:
        """Copy the encoder."""
        _copy_encoder(self.run, folder)


def describer_of(
    features: Features,
    run: Path,
    patch_mm: float,
    spacing_mm: tuple[float, float, float],
) -> Describer:
    """Return who describes scans; ``run`` holds the encoder, where there is one."""
    if features == "patches":
        return EncoderDescriber(run)
    if features == "slices":
        return SliceDescriber(run, patch_mm, spacing_mm)
    return HandmadeDescriber(patch_mm, spacing_mm)


def describer_for(
    start: Path | None,
    run: Path,
    *,
    patch_mm: float,
    spacing_mm: tuple[float, float, float],
) -> tuple[Features, Describer]:
    """Return the describer of a new training: that of the run it starts from."""
    features: Features = "handmade"
    if start is not None:
        of_patches = isinstance(read_card(start), EncoderCard)
        features = "patches" if of_patches else "slices"
    return features, describer_of(features, start or run, patch_mm, spacing_mm)


def _copy_encoder(run: Path, folder: Path) -> None:
    for name in (WEIGHTS, CARD):
        shutil.copyfile(run / "checkpoints" / name, folder / name)


def _stored(cohort: Cohort, key: str, start: ArrayLike, shape: ArrayLike) -> Floats:
    return np.asarray(cohort.read_box(key, start, shape), dtype=np.float32)


def _box(voxels: NDArray[np.generic], start: ArrayLike, shape: ArrayLike) -> Floats:
    return filled_box(voxels, start, shape, -1024.0).astype(np.float32, copy=False)
