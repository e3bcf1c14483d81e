"""The small box of voxels around what is painted, so that painting stays fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scanlearn.phantom.patient import Points
from scanlearn.phantom.shapes import Floats
from scanlearn.scans.geometry import Grid

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Axes:
    """LPS coordinates along the three axes (S, P, L) of a canonical grid."""

    z: Floats
    y: Floats
    x: Floats

    @classmethod
    def of(cls, grid: Grid) -> Axes:
        """Return the coordinates of a canonical grid's voxel centres."""
        mm = [
            grid.affine[2 - axis, 3] + np.arange(n) * grid.spacing_mm[axis]
            for axis, n in enumerate(grid.shape)
        ]
        return cls(*(np.asarray(one, np.float32) for one in mm))

    def box(self, low: Points, high: Points) -> Box | None:
        """Return the voxels between two LPS corners, or None outside of the grid."""
        box = []
        for axis, mm in enumerate((self.z, self.y, self.x)):
            first = int(np.searchsorted(mm, low[2 - axis]))
            last = int(np.searchsorted(mm, high[2 - axis], side="right"))
            if first >= last:
                return None
            box.append(slice(first, last))
        return box[0], box[1], box[2]

    def offsets(self, box: Box, centre: Points) -> tuple[Floats, Floats, Floats]:
        """Return x, y, z of a box relative to an LPS point; they broadcast to it."""
        x, y, z = (np.float32(mm) for mm in centre)
        return (
            self.x[box[2]] - x,
            self.y[box[1]][:, None] - y,
            self.z[box[0]][:, None, None] - z,
        )

    def ball(self, centre: Points, radius_mm: float) -> tuple[Box, Floats] | None:
        """Return the box around a ball and the distance from its centre there."""
        box = self.box(centre - radius_mm, centre + radius_mm)
        if box is None:
            return None
        x, y, z = self.offsets(box, centre)
        return box, np.asarray(np.sqrt(x * x + y * y + z * z), np.float32)
