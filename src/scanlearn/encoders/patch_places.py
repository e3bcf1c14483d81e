"""Where a patch lies in a scan: centred on a location."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.anatomy.frames import Locator
from scanlearn.scans.geometry import Grid


class Placed(Protocol):
    """Whatever has voxels somewhere in a patient."""

    @property
    def grid(self) -> Grid:
        """Where its voxels are."""
        ...

    @property
    def frame(self) -> Locator:
        """What its locations refer to."""
        ...


def patch_start(scan: Placed, location: ArrayLike, side: int) -> NDArray[np.int_]:
    """Return the first index of a box of ``side`` voxels centred on a location."""
    centre = scan.grid.to_index(scan.frame.to_patient(location))
    return np.rint(centre - (side - 1) / 2).astype(int)


def tile_box(
    grid: Grid, frame: Locator, start: ArrayLike, side: float
) -> NDArray[np.float32]:
    """Return the locations (2, 3) of a tile's first and last voxel."""
    first = np.asarray(start, dtype=float)
    points = grid.to_patient(np.stack([first, first + side - 1]))
    return frame.to_location(points).astype(np.float32)
