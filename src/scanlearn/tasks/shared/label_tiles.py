"""Tiles of labelled scans: where to cut them, and cutting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.cohort.working import WorkingCohorts
from scanlearn.nets.segmentation_loss import IGNORE


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """A scan with its label map at working resolution.

    Parameters
    ----------
    number
        Its number in the :class:`WorkingCohorts`.
    patient
        Whose scan it is.
    labels
        Class numbers on the scan's working grid; :data:`IGNORE` where unlabelled.
    split
        ``train`` or ``val`` where a table of labels says so.
    """

    number: int
    patient: str
    labels: NDArray[np.uint8]
    split: str = ""


def pool_labels(
    labels: NDArray[np.uint8], factor: int, classes: int
) -> NDArray[np.uint8]:
    """Pool a label map like its image: the commonest *labelled* class of each block.

    A slice painted on the stored grid must not be lost between two working voxels, so
    unlabelled voxels have no vote unless the whole block is unlabelled.

    Parameters
    ----------
    labels
        Class numbers below ``classes``, or :data:`IGNORE`.
    factor
        Side of a block.
    classes
        How many, with background.
    """
    if factor == 1:
        return labels
    n = [size // factor for size in labels.shape]
    whole = labels[tuple(slice(size * factor) for size in n)]
    blocks = whole.reshape(n[0], factor, n[1], factor, n[2], factor)
    best = np.zeros(n, dtype=np.uint16)
    result = np.full(n, IGNORE, dtype=np.uint8)
    for value in range(classes):
        votes = (blocks == value).sum(axis=(1, 3, 5), dtype=np.uint16)
        wins = votes > best
        result[wins] = value
        best[wins] = votes[wins]
    return result


class TileSampler:
    """Chooses tiles of labelled scans, half of them around a class.

    Parameters
    ----------
    scans
        The labelled scans.
    tile
        Side in working voxels.
    foreground
        Share of tiles centred near a voxel of a class, classes in turn.
    across
        The axis along which a tile is one voxel thick, where it shows a slice.
    """

    def __init__(
        self,
        scans: list[LabelledScan],
        *,
        tile: int,
        foreground: float,
        across: int | None = None,
    ) -> None:
        self.scans, self.tile, self.foreground = scans, tile, foreground
        self._thin = np.arange(3) == across
        self._places: dict[int, list[tuple[int, NDArray[np.int_]]]] = {}
        # Of a wholly labelled scan the number of its voxels stands for all of them.
        self._any: list[tuple[int, NDArray[np.int_] | int]] = []
        for index, scan in enumerate(scans):
            known = scan.labels != IGNORE
            where = known.size if known.all() else np.flatnonzero(known)
            self._any.append((index, where))
            for value in np.unique(scan.labels[known]):
                where = np.flatnonzero(scan.labels == value)
                self._places.setdefault(int(value), []).append((index, where))

    def sample(self, rng: np.random.Generator) -> tuple[int, NDArray[np.int_]]:
        """Return which scan, and the first index of a tile in it.

        A tile lies inside its scan, as the windows of a prediction do, but for scans
        that are smaller: batch statistics must not follow what is beyond a border.
        """
        values = [value for value in self._places if value > 0]
        around_class = bool(values) and rng.random() < self.foreground
        places: Sequence[tuple[int, NDArray[np.int_] | int]] = self._any
        if around_class:
            places = self._places[int(rng.choice(values))]
        index, where = places[int(rng.integers(len(places)))]
        shape = self.scans[index].labels.shape
        voxel = np.array(np.unravel_index(int(rng.choice(where)), shape))
        # Anywhere in the middle half of the tile, so that borders are learned too.
        jitter = rng.integers(-self.tile // 4, self.tile // 4 + 1, size=3)
        begin = voxel + jitter - self.tile // 2
        last = np.maximum(np.array(shape) - self.tile, 0)
        return index, np.where(self._thin, voxel, np.clip(begin, 0, last))


def cut_labels(
    labels: NDArray[np.uint8], start: NDArray[np.int_], side: ArrayLike
) -> NDArray[np.uint8]:
    """Cut a cube or box from a label map; beyond its border nothing is labelled."""
    size = np.broadcast_to(np.asarray(side, dtype=int), 3)
    tile = np.full(size, IGNORE, dtype=np.uint8)
    low = np.clip(start, 0, labels.shape)
    high = np.clip(start + size, low, labels.shape)
    inner = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    place = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
    if all(part.stop > part.start for part in place):
        tile[place] = labels[inner]
    return tile


def read_tile(
    cohorts: WorkingCohorts, number: int, start: ArrayLike, side: ArrayLike
) -> NDArray[np.float32]:
    """Read a cube or box of a scan; beyond its border the last voxel is repeated."""
    shape = np.array(cohorts.scans[number].grid.shape)
    begin, size = np.asarray(start, dtype=int), np.broadcast_to(side, 3).astype(int)
    low = np.clip(begin, 0, shape - 1)
    high = np.clip(begin + size, low + 1, shape)
    voxels = cohorts.read(number, low, high - low)
    ends = np.stack([low - begin, begin + size - high], axis=1)
    return np.pad(voxels, np.maximum(ends, 0), mode="edge")
