"""A labelled mask with its place in space, coarse enough to be registered quickly."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from scanlearn.anatomy.morphology import bounding_box
from scanlearn.scans.geometry import Grid

#: Voxels on which masks are registered: finer ones gain nothing (a few tenths of a
#: millimetre, against 9 mm that no affine map can explain) and cost eight times more.
COARSE_MM = 4.0


@dataclass(frozen=True, eq=False)
class LabelMask:
    """Which voxels of a grid belong to which of a few organs.

    Parameters
    ----------
    mask
        uint8 array of ``grid.shape``: 0 outside, then 1, 2, … such as right and left.
    grid
        Canonical grid.
    """

    mask: NDArray[np.uint8]
    grid: Grid

    @cached_property
    def count(self) -> int:
        """How many labels there are: the highest one."""
        return int(self.mask.max(initial=0))

    @property
    def is_empty(self) -> bool:
        """Whether no voxel is labelled."""
        return self.count == 0

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return centroid (3,) and standard deviation (3,) along x, y, z in mm.

        Raises
        ------
        ValueError
            If the mask is empty.
        """
        points = self.grid.to_patient(np.argwhere(self.mask > 0))
        if not len(points):
            raise ValueError("an empty mask has no moments")
        spread = points.std(axis=0)
        return points.mean(axis=0), np.maximum(spread, self.grid.spacing_mm[0] / 4)

    def bounds_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the (3,) lowest and highest edges of labelled voxels, in mm."""
        box = bounding_box(self.mask > 0)
        ends = [[s.start - 0.5 for s in box], [s.stop - 0.5 for s in box]]
        corners = self.grid.to_patient(ends)
        return corners.min(axis=0), corners.max(axis=0)

    def volumes_mm3(self, count: int) -> NDArray[np.float64]:
        """Return the volume of each of ``count`` labels."""
        voxels = np.bincount(self.mask.ravel(), minlength=count + 1)[1 : count + 1]
        return np.asarray(voxels * self.grid.voxel_ml * 1000)

    def at(self, points: ArrayLike) -> NDArray[np.uint8]:
        """Return the label at LPS points (..., 3); 0 beyond the grid."""
        index = np.rint(self.grid.to_index(points)).astype(np.intp)
        known = np.all((index >= 0) & (index < np.array(self.grid.shape)), axis=-1)
        i, j, k = np.moveaxis(index * known[..., np.newaxis], -1, 0)
        return np.asarray(self.mask[i, j, k] * known, dtype=np.uint8)

    def parts(
        self,
        spacing_mm: float = COARSE_MM,
        margin_mm: float = 0.0,
        count: int | None = None,
    ) -> tuple[NDArray[np.float32], Grid]:
        """Return the part of each coarse voxel that each label fills.

        Parameters
        ----------
        spacing_mm
            Side of the coarse voxels; whole multiples of the mask's are fastest.
        margin_mm
            Kept around the labelled box.
        count
            Labels to return, where not all need to be there.

        Returns
        -------
        parts
            (count, *shape) in [0, 1].
        grid
            Canonical grid around the labelled voxels.
        """
        spacing = np.array(self.grid.spacing_mm)
        factor = np.maximum(1, np.rint(spacing_mm / spacing)).astype(int)
        margin = np.ceil(margin_mm / (factor * spacing)).astype(int) * factor
        box = bounding_box(self.mask > 0)
        start = np.array([s.start for s in box]) - margin
        own = np.array([s.stop - s.start for s in box])
        shape = -(-(own + 2 * margin) // factor)
        padded = np.zeros(shape * factor, dtype=np.uint8)
        padded[tuple(map(slice, margin, margin + own))] = self.mask[box]
        blocks = padded.reshape(np.stack([shape, factor], axis=1).ravel())
        parts = [
            (blocks == label).mean(axis=(1, 3, 5), dtype=np.float32)
            for label in range(1, (count or self.count) + 1)
        ]
        affine = self.grid.affine.copy()
        affine[:3, :3] *= factor
        affine[:3, 3] = self.grid.to_patient(start + (factor - 1) / 2)
        return np.stack(parts), Grid(parts[0].shape, affine)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: the labels as compressed text."""
        packed = zlib.compress(np.ascontiguousarray(self.mask).tobytes(), 9)
        return {
            "shape": list(self.grid.shape),
            "origin_mm": [round(float(x), 4) for x in self.grid.affine[:3, 3]],
            "spacing_mm": [round(mm, 4) for mm in self.grid.spacing_mm],
            "labels": base64.b85encode(packed).decode("ascii"),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LabelMask:
        """Make a mask from what :meth:`to_dict` gave."""
        shape = tuple(int(n) for n in data["shape"])
        raw = zlib.decompress(base64.b85decode(data["labels"]))
        mask = np.frombuffer(raw, dtype=np.uint8).reshape(shape)
        return cls(mask, _straight_grid(shape, data["origin_mm"], data["spacing_mm"]))


def share_in_boxes(
    labels: LabelMask, centres: ArrayLike, side_mm: float
) -> NDArray[np.float64]:
    """Return the part of a cube around each centre (n, 3) that is labelled.

    On the coarse voxels, but exact for boxes between them: the mean over a box is
    linear in its place from one voxel to the next.
    """
    centres = np.asarray(centres, dtype=np.float64)
    if labels.is_empty:
        return np.zeros(len(centres))
    parts, grid = labels.parts(margin_mm=side_mm)
    wide = np.maximum(1, np.rint(side_mm / np.array(grid.spacing_mm))).astype(int)
    mean = ndimage.uniform_filter(parts.sum(axis=0), wide, mode="constant")
    # An even box has its middle half a voxel before the voxel it is written to.
    index = grid.to_index(centres) + np.where(wide % 2 == 0, 0.5, 0.0)
    share = ndimage.map_coordinates(mean, index.T, order=1, mode="constant")
    return np.asarray(share, dtype=np.float64)


def coarse_labels(source: LabelMask, spacing_mm: float = COARSE_MM) -> LabelMask:
    """Return a mask on coarse voxels whose middle is the middle of its box, (0, 0, 0).

    A coarse voxel takes the label that fills most of it, if labels fill half of it.
    """
    parts, grid = source.parts(spacing_mm)
    label = parts.argmax(axis=0).astype(np.uint8) + np.uint8(1)
    mask = np.where(parts.sum(axis=0) >= 0.5, label, np.uint8(0)).astype(np.uint8)
    box = bounding_box(mask > 0)
    mask = np.ascontiguousarray(mask[box])
    spacing = np.round(grid.spacing_mm, 4)
    first = -(np.array(mask.shape) - 1) / 2 * spacing
    return LabelMask(mask, _straight_grid(mask.shape, first[::-1], spacing))


def _straight_grid(
    shape: tuple[int, ...], origin: ArrayLike, spacing: ArrayLike
) -> Grid:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:3, 3] = origin
    affine[3, 3] = 1
    return Grid((shape[0], shape[1], shape[2]), affine)


def blurred(
    parts: NDArray[np.float32], grid: Grid, sigma_mm: float
) -> NDArray[np.float32]:
    """Blur (count, *shape) parts by a Gaussian; beyond the border there is nothing."""
    sigma = sigma_mm / np.array(grid.spacing_mm)
    out: NDArray[np.float32] = ndimage.gaussian_filter(
        parts, (0, *sigma), mode="constant", truncate=3.0
    )
    return out
