"""Images and stacks of slices of one or several cohorts, numbered through.

Volumes of any kind and radiographs meet here: every slice becomes a square of so many
pixels that holds its whole field of view, in the intensities that networks see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.record import ScanRecord
from scanlearn.config.joint import JointConfig
from scanlearn.errors import BadCohort
from scanlearn.scans.geometry import Grid

Slice = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Image:
    """One slice of a volume, or a radiograph."""

    cohort: int
    record: ScanRecord
    index: int
    source: int


@dataclass(frozen=True, eq=False)
class Volume:
    """The slices that stand for a volume, from the head down."""

    cohort: int
    record: ScanRecord
    indices: tuple[int, ...]
    source: int


class SliceCohorts:
    """All usable images and volumes, each with one number in the whole training.

    A *source* is what one cohort holds of one modality.

    Parameters
    ----------
    paths
        The cohorts.
    slices
        At most so many slices stand for a volume, evenly taken.
    images_a_volume
        At most so many slices of a volume are images of their own, evenly taken.
    """

    def __init__(
        self, paths: Sequence[Path], *, slices: int, images_a_volume: int
    ) -> None:
        self.cohorts = [Cohort(path) for path in paths]
        self.sources: list[str] = []
        self.images: list[Image] = []
        self.volumes: list[Volume] = []
        for number, cohort in enumerate(self.cohorts):
            for record in cohort.records():
                source = self._source(f"{cohort.path.name} ({record.modality})")
                if record.is_radiograph:
                    self.images.append(Image(number, record, 0, source))
                    continue
                depth = record.shape[0]
                places = even(depth, images_a_volume)
                self.images += [Image(number, record, n, source) for n in places]
                self.volumes.append(Volume(number, record, even(depth, slices), source))

    def patients(self) -> set[str]:
        """Return the keys of all patients."""
        return {image.record.patient for image in self.images} | {
            volume.record.patient for volume in self.volumes
        }

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return how many volumes and images each source has."""
        found = dict.fromkeys(range(len(self.sources)), (0, 0))
        for volume in self.volumes:
            volumes, images = found[volume.source]
            found[volume.source] = volumes + 1, images
        for image in self.images:
            volumes, images = found[image.source]
            found[image.source] = volumes, images + 1
        return {self.sources[n]: pair for n, pair in found.items()}

    def read(self, item: Image | Volume) -> Slice:
        """Read stored intensities (n, H, W) of an image (n = 1) or of a volume."""
        voxels = self.cohorts[item.cohort].voxels(item.record.key)
        wanted = [item.index] if isinstance(item, Image) else list(item.indices)
        return np.stack([np.asarray(voxels[n], dtype=np.float32) for n in wanted])

    def _source(self, name: str) -> int:
        if name not in self.sources:
            self.sources.append(name)
        return self.sources.index(name)


def slice_cohorts(paths: Sequence[Path], config: JointConfig) -> SliceCohorts:
    """Open what a joint training learns from.

    Raises
    ------
    BadCohort
        If there are images of one patient only.
    """
    found = SliceCohorts(
        paths, slices=config.slices, images_a_volume=config.images_a_volume
    )
    if len(found.patients()) < 2:
        raise BadCohort(
            f"{', '.join(map(str, paths))} holds images of {len(found.patients())} "
            "patient",
            expected="at least 2 patients",
            next_step="Add scans of other patients with 'scanlearn prepare'",
        )
    return found


def even(size: int, most: int) -> tuple[int, ...]:
    """Return at most ``most`` of the numbers below ``size``, evenly spread."""
    count = min(size, most)
    return tuple(int((n + 0.5) * size / count) for n in range(count))


def squared(slices: Slice, outside: float) -> Slice:
    """Fill slices (n, H, W) up to squares (n, S, S), the image in the middle."""
    height, width = slices.shape[1:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    pads = ((0, 0), (top, side - height - top), (left, side - width - left))
    return np.pad(slices, pads, constant_values=np.float32(outside))


def square_grid(grid: Grid, side: int) -> Grid:
    """Return where the pixels lie of slices that were :func:`squared`, then resized.

    Parameters
    ----------
    grid
        Of the slices (n, H, W) before.
    side
        Rows and columns after; the square's outer edges stay where they are.
    """
    height, width = grid.shape[1:]
    longest = max(height, width)
    factor = longest / side
    affine = grid.affine.copy()
    affine[:3, 1:3] *= factor
    # The square's edge stays in place, so the first pixel's centre moves.
    edge = (factor - 1) / 2
    rows, columns = (longest - height) // 2, (longest - width) // 2
    first = np.array([0, edge - rows, edge - columns])
    affine[:3, 3] = grid.to_patient(first)
    return Grid((grid.shape[0], side, side), affine)
