"""Binary morphology by shifted copies.

On masks of a few million voxels this is several times as fast as the general filters of
scipy: every step is one pass of a vectorised byte operation per direction.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
_Value = TypeVar("_Value", np.bool_, np.uint8)

#: Connects the four neighbours in an axial slice and nothing between slices.
IN_SLICE = np.zeros((3, 3, 3), dtype=bool)
IN_SLICE[1] = ndimage.generate_binary_structure(2, 1)


def dilate(mask: Mask, steps: int = 1) -> Mask:
    """Grow a mask by ``steps`` voxels: an octahedron, and every second step a cube.

    The mixture is close to a ball. Voxels beyond the border count as background.
    """
    return _repeat(mask, steps)


def erode(mask: Mask, steps: int = 1) -> Mask:
    """Shrink a mask by ``steps`` voxels; beyond the border counts as foreground."""
    return np.asarray(~_repeat(~mask, steps))


def opened(mask: Mask, steps: int) -> Mask:
    """Remove what is thinner than about twice ``steps`` voxels."""
    return dilate(erode(mask, steps), steps)


def closed(mask: Mask, steps: int) -> Mask:
    """Fill what is thinner than about twice ``steps`` voxels."""
    padded = np.pad(mask, steps)
    inner = (slice(steps, -steps),) * 3
    return erode(dilate(padded, steps), steps)[inner]


def grow_labels(
    labels: NDArray[np.uint8], inside: Mask, *, steps: int
) -> NDArray[np.uint8]:
    """Let labels grow through a mask, all at the same speed, for at most ``steps``.

    A voxel that is reached by two labels at once takes the higher one.
    """
    labels = labels.copy()
    for _ in range(steps):
        reached = _spread(labels)
        free = inside & (labels == 0) & (reached > 0)
        if not free.any():
            break
        np.copyto(labels, reached, where=free)
    return labels


def fill_in_slices(mask: Mask) -> Mask:
    """Fill the holes of every axial slice (first axis)."""
    padded = np.pad(~mask, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    regions, n = ndimage.label(padded, IN_SLICE)
    outside = np.zeros(n + 1, dtype=bool)
    outside[regions[:, 0, 0]] = True
    outside[0] = False
    return np.asarray(~outside[regions][:, 1:-1, 1:-1])


def bounding_box(mask: Mask, margin: int = 0) -> tuple[slice, slice, slice]:
    """Return the box around a mask, widened by a margin within the array.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    box = []
    for axis, size in enumerate(mask.shape):
        others = tuple(i for i in range(mask.ndim) if i != axis)
        hits = np.flatnonzero(mask.any(axis=others))
        if hits.size == 0:
            raise ValueError("an empty mask has no bounding box")
        box.append(slice(max(0, hits[0] - margin), min(size, hits[-1] + 1 + margin)))
    return box[0], box[1], box[2]


def _repeat(mask: Mask, steps: int) -> Mask:
    for step in range(steps):
        mask = _spread_box(mask) if step % 2 else _spread(mask)
    return mask


def _spread(values: NDArray[_Value]) -> NDArray[_Value]:
    """Return the maximum over each voxel and its six neighbours."""
    out = values.copy()
    for axis in range(values.ndim):
        ahead, behind = _ends(values.ndim, axis)
        np.maximum(out[ahead], values[behind], out=out[ahead])
        np.maximum(out[behind], values[ahead], out=out[behind])
    return out


def _spread_box(values: NDArray[_Value]) -> NDArray[_Value]:
    """Return the maximum over each voxel and its 26 neighbours."""
    for axis in range(values.ndim):
        ahead, behind = _ends(values.ndim, axis)
        out = values.copy()
        np.maximum(out[ahead], values[behind], out=out[ahead])
        np.maximum(out[behind], values[ahead], out=out[behind])
        values = out
    return values


def _ends(ndim: int, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    ahead = [slice(None)] * ndim
    behind = [slice(None)] * ndim
    ahead[axis] = slice(1, None)
    behind[axis] = slice(None, -1)
    return tuple(ahead), tuple(behind)
