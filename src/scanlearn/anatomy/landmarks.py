"""The atlas: which places of the body are compared between patients.

An atlas is a mean mask of the cohort in its frames' coordinates, with landmarks on a
regular grid where enough of a patch is lung. It travels with every encoder, because the
encoder's kernels depend on locations that mean nothing without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.anatomy.frames import Frame, FrameKind
from scanlearn.anatomy.neighbours import Neighbours, nearest_landmarks
from scanlearn.scans.geometry import Grid

#: Cell of the mean mask; landmarks are 26 mm apart, so finer gains nothing.
_CELL_MM = 4.0


@dataclass(frozen=True, eq=False)
class Atlas:
    """Landmarks in normalised coordinates.

    Parameters
    ----------
    kind
        What the frames surround.
    size_mm
        Median lengths (x, y, z) of the cohort's frames.
    landmarks
        (P, 3) locations in [-1, 1]^3 of the patches' centres.
    fraction
        (P,) mean share of a patch that is inside the mask.
    """

    kind: FrameKind
    size_mm: tuple[float, float, float]
    landmarks: NDArray[np.float32]
    fraction: NDArray[np.float32]

    def neighbours(self, count: int) -> Neighbours:
        """Return the candidates for the ``count`` nearest landmarks of each landmark.

        Distances are those in the atlas, in millimetres.
        """
        places = self.landmarks.astype(np.float64) * np.array(self.size_mm) / 2
        return nearest_landmarks(places, count)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "kind": self.kind,
            "size_mm": list(self.size_mm),
            "landmarks": np.round(self.landmarks.astype(float), 6).tolist(),
            "fraction": np.round(self.fraction.astype(float), 4).tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Atlas:
        """Make an atlas from what :meth:`to_dict` gave."""
        size = data["size_mm"]
        return cls(
            kind=data["kind"],
            size_mm=(float(size[0]), float(size[1]), float(size[2])),
            landmarks=np.array(data["landmarks"], dtype=np.float32).reshape(-1, 3),
            fraction=np.array(data["fraction"], dtype=np.float32),
        )


def make_atlas(
    frames: list[Frame],
    masks: Iterable[tuple[NDArray[np.bool_], Grid] | None],
    *,
    patch_mm: float,
    step_mm: float,
    least_fraction: float,
    at_most: int | None = None,
) -> Atlas:
    """Place landmarks where patches of the average patient hold enough lung.

    Parameters
    ----------
    frames
        One a scan; all of the same kind.
    masks
        For each scan its mask and the mask's grid; None where the whole frame counts.
    patch_mm, step_mm
        Side of a patch and distance of neighbouring landmarks.
    least_fraction
        A landmark's patch must hold more than this share of mask.
    at_most
        Keep an even choice of this many.
    """
    size = np.median([frame.size_mm for frame in frames], axis=0)
    counts = [max(1, round(length / step_mm)) for length in size]
    axes = [
        (np.arange(n) - (n - 1) / 2) * step_mm / length * 2
        for n, length in zip(counts, size, strict=True)
    ]
    candidates = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    mean, cells = _mean_mask(frames, masks, size)
    fraction = _patch_fraction(mean, cells, candidates, patch_mm / size * 2)
    keep = np.flatnonzero(fraction > least_fraction)
    if not len(keep):
        keep = np.arange(len(candidates))
    if at_most is not None and len(keep) > at_most:
        keep = keep[np.linspace(0, len(keep) - 1, at_most).round().astype(int)]
    return Atlas(
        kind=frames[0].kind,
        size_mm=(float(size[0]), float(size[1]), float(size[2])),
        landmarks=candidates[keep].astype(np.float32),
        fraction=fraction[keep].astype(np.float32),
    )


def _mean_mask(
    frames: list[Frame],
    masks: Iterable[tuple[NDArray[np.bool_], Grid] | None],
    size: NDArray[np.float64],
) -> tuple[NDArray[np.float32], list[NDArray[np.float64]]]:
    """Average the masks over the frame's cells; returns cell centres per axis too."""
    counts = np.maximum(2, np.round(size / _CELL_MM)).astype(int)
    cells = [(np.arange(n) + 0.5) / n * 2 - 1 for n in counts]
    points = np.stack(np.meshgrid(*cells, indexing="ij"), axis=-1)
    total = np.zeros(points.shape[:3], dtype=np.float32)
    for frame, mask in zip(frames, masks, strict=True):
        if mask is None:
            total += 1
            continue
        inside, grid = mask
        index = np.rint(grid.to_index(frame.to_patient(points))).astype(int)
        known = np.all((index >= 0) & (index < np.array(grid.shape)), axis=-1)
        i, j, k = np.moveaxis(index * known[..., np.newaxis], -1, 0)
        total += inside[i, j, k] & known
    return total / np.float32(len(frames)), cells


def _patch_fraction(
    mean: NDArray[np.float32],
    cells: list[NDArray[np.float64]],
    centres: NDArray[np.float64],
    sides: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the mean of the mask over the box of each centre."""
    widths = [
        max(1, round(side / (axis[1] - axis[0])))
        for side, axis in zip(sides, cells, strict=True)
    ]
    box = ndimage.uniform_filter(mean.astype(np.float64), size=widths, mode="constant")
    index = [
        np.abs(axis[None, :] - centres[:, i, None]).argmin(axis=1)
        for i, axis in enumerate(cells)
    ]
    return np.asarray(box[index[0], index[1], index[2]])
