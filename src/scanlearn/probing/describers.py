"""What turns places of scans into features: an encoder, or densities and texture.

One small interface, so that every encoder can be used: what a place looks like, and
the same for a regular grid of places.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.prepare_one import ready_scan
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
from scanlearn.probing.handmade import handmade_features
from scanlearn.recipes.encoder_file import CARD, WEIGHTS
from scanlearn.runs.events import Event
from scanlearn.scans.scan import Scan

Floats = NDArray[np.float32]
Points = Sequence[tuple[float, float, float] | None]

_BATCH = 64

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

    def save(self, folder: Path) -> None:
        """Copy the encoder."""
        for name in (WEIGHTS, CARD):
            shutil.copyfile(self.run / "checkpoints" / name, folder / name)


class HandmadeDescriber:
    """Densities and texture of axial patches; needs Hounsfield units.

    Parameters
    ----------
    patch_mm
        Side of the patches.
    spacing_mm
        (S, P, L) voxel size of the cohort, to which other scans are brought.
    """

    def __init__(self, patch_mm: float, spacing_mm: tuple[float, float, float]) -> None:
        self.patch_mm, self.spacing_mm = patch_mm, spacing_mm

    def from_cohort(
        self, path: Path, keys: Collection[str], told: list[Event]
    ) -> Iterator[EncoderScan]:
        """Yield the scans; raises BadLabels where they are not in HU."""
        cohort = Cohort(path)
        for record in cohort.records():
            if record.key not in keys:
                continue
            if record.intensity.units != "HU":
                raise BadLabels(
                    f"{record.key} is not in Hounsfield units",
                    expected="CT: from scratch, densities are the features",
                    next_step="Start from a pre-trained encoder",
                )
            lungs = cohort.lungs(record.key)
            mask = lungs and (lungs[0] > 0, lungs[1])
            read = partial(_stored, cohort, record.key)
            yield EncoderScan(
                record.key, record.patient, record.grid, record.frame, mask, read
            )

    def from_memory(self, scan: Scan) -> EncoderScan:
        """Bring a CT to the cohort's voxel size; a patch keeps its pixels."""
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
        return handmade_features(self._cut(scan, points))

    def everywhere(
        self, scan: EncoderScan, stride_mm: float, progress: Progress
    ) -> DenseFeatures:
        """Describe a regular grid, place by place."""
        grid, known = places_worth(scan, self.patch_mm, stride_mm)
        cells = np.argwhere(known)
        centres = grid.to_patient(cells)
        features = None
        for first in range(0, len(cells), _BATCH):
            part = slice(first, first + _BATCH)
            found = self.at(scan, [tuple(c) for c in centres[part].tolist()])
            if features is None:
                features = np.zeros((found.shape[1], *grid.shape), np.float32)
            features[:, *cells[part].T] = found.T
            progress(min(first + _BATCH, len(cells)), len(cells))
        if features is None:
            features = np.zeros((1, *grid.shape), np.float32)
        return DenseFeatures(features, known, grid)

    def save(self, folder: Path) -> None:
        """Keep nothing: the model's card says it all."""

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
        if len({patch.shape for patch in patches}) > 1:
            raise BadLabels(
                f"The patches of {scan.key} have several sizes",
                expected="patches of one size",
            )
        return np.stack(patches)


def _stored(cohort: Cohort, key: str, start: ArrayLike, shape: ArrayLike) -> Floats:
    return np.asarray(cohort.read_box(key, start, shape), dtype=np.float32)


def _box(voxels: NDArray[np.generic], start: ArrayLike, shape: ArrayLike) -> Floats:
    return filled_box(voxels, start, shape, -1024.0).astype(np.float32, copy=False)
