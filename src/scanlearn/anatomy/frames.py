"""Where in the body, as far as a box can tell.

A location is a point in [-1, 1]^3 that means the same place in every patient. A frame
makes locations of patient points without an atlas (``anatomy/placement.py`` has the
better way): the corners of the frame are -1 and 1 along x (to the left), y (to the
back) and z (to the head). Points beyond the box have locations beyond [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.anatomy.lungs import MASK_SPACING_MM, LungMask, body_mask
from scanlearn.scans.geometry import Grid, canonical_grid
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Scan

FrameKind = Literal["lungs", "body", "field"]


class Locator(Protocol):
    """Maps between locations in [-1, 1]^3 and a patient: a box or a registration."""

    @property
    def kind(self) -> FrameKind:
        """What locations refer to."""
        ...

    def to_location(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map LPS points (..., 3) in millimetres to locations (..., 3)."""
        ...

    def to_patient(self, locations: ArrayLike) -> NDArray[np.float64]:
        """Map locations (..., 3) to LPS points (..., 3) in millimetres."""
        ...


#: Share of the mask's voxels that may lie beyond each side of its frame: a spike of the
#: mask into a costophrenic angle must not move the frame.
_BEYOND_PERCENT = 0.5

#: A frame is never thinner than this, so that locations stay finite.
_THINNEST_MM = 1.0


@dataclass(frozen=True)
class Frame:
    """A box in patient space.

    Parameters
    ----------
    low, high
        Opposite corners, (x, y, z) in LPS millimetres.
    kind
        What the box surrounds: the lungs, the body or the field of view.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    kind: FrameKind = "field"

    def __post_init__(self) -> None:
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"a frame needs low < high, not {self.low}, {self.high}")

    @property
    def size_mm(self) -> NDArray[np.float64]:
        """(3,) lengths of the sides along x, y, z."""
        return np.subtract(self.high, self.low, dtype=np.float64)

    def to_location(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map LPS points (..., 3) in millimetres to locations (..., 3)."""
        points = np.asarray(points, dtype=np.float64)
        return np.asarray((points - np.array(self.low)) / self.size_mm * 2 - 1)

    def to_patient(self, locations: ArrayLike) -> NDArray[np.float64]:
        """Map locations (..., 3) to LPS points (..., 3) in millimetres."""
        locations = np.asarray(locations, dtype=np.float64)
        return np.asarray((locations + 1) / 2 * self.size_mm + np.array(self.low))


def frame_of(scan: Scan, lungs: LungMask | None = None) -> Frame:
    """Return the frame of a scan: of its lungs, else its body (CT), else the field.

    Parameters
    ----------
    scan
        Canonical scan; a radiograph may be in any orientation.
    lungs
        Its lung mask, where there is one.
    """
    if lungs is not None and lungs.volume_ml > 0:
        return frame_of_mask(lungs.mask > 0, lungs.grid, kind="lungs")
    if scan.acquisition.units == "HU" and scan.grid.is_canonical:
        grid = canonical_grid(scan.grid, MASK_SPACING_MM)
        hu = resample(
            scan.voxels, scan.grid, grid, order=1, outside=-1024, antialias=True
        )
        body = body_mask(hu.astype(np.float32))
        if body.any():
            return frame_of_mask(body, grid, kind="body")
    return frame_of_field(scan.grid)


def frame_of_mask(mask: NDArray[np.bool_], grid: Grid, *, kind: FrameKind) -> Frame:
    """Return the box around a mask on a canonical grid, without its last spikes.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    if not mask.any():
        raise ValueError("an empty mask has no frame")
    low = np.empty(3)
    high = np.empty(3)
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        counts = np.cumsum(np.count_nonzero(mask, axis=others))
        share = _BEYOND_PERCENT / 100 * counts[-1]
        low[axis] = np.searchsorted(counts, share, side="right")
        high[axis] = np.searchsorted(counts, counts[-1] - share, side="left")
    # Half a voxel further: the frame holds voxels, not only their centres.
    return _frame(grid, low - 0.5, high + 0.5, kind)


def frame_of_field(grid: Grid) -> Frame:
    """Return the box around a grid's field of view."""
    return _frame(grid, np.full(3, -0.5), np.array(grid.shape) - 0.5, "field")


def _frame(
    grid: Grid, low: NDArray[np.float64], high: NDArray[np.float64], kind: FrameKind
) -> Frame:
    box = Grid((2, 2, 2), _between(grid, low, high))
    first, last = box.bounds_mm()
    thin = np.maximum(_THINNEST_MM - (last - first), 0) / 2
    first, last = first - thin, last + thin
    return Frame(
        (float(first[0]), float(first[1]), float(first[2])),
        (float(last[0]), float(last[1]), float(last[2])),
        kind,
    )


def _between(
    grid: Grid, low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the affine of a grid with one voxel at each corner of an index box."""
    affine = grid.affine.copy()
    affine[:3, :3] *= high - low
    affine[:3, 3] = grid.to_patient(low)
    return affine
