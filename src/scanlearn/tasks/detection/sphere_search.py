"""Finding spheres in a whole volume with a trained detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from scanlearn.anatomy.frames import Locator
from scanlearn.encoders.patch_places import tile_box
from scanlearn.nets.centre_map import Cells, decode
from scanlearn.nets.location_detector import LocationDetector, blendable
from scanlearn.nets.sliding_windows import Progress, sliding_windows
from scanlearn.scans.geometry import Grid
from scanlearn.scans.spheres import Spheres, as_spheres, keep_best

Lungs = tuple[NDArray[np.uint8], Grid]

#: A finding may lie this far outside the lung mask, beyond its own radius: what is
#: dense at the pleura is not in the mask.
_OUTSIDE_MM = 5.0

#: More findings than this in one scan are of no use to anybody.
MOST = 200


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in a volume, best first.

    Parameters
    ----------
    spheres
        (n, 4) centres and diameters in LPS millimetres.
    scores
        (n,) from 0 to 1.
    """

    spheres: Spheres
    scores: NDArray[np.float64]


def cells_of(grid: Grid, stride: int) -> Cells:
    """Return how a detector's cells lie on a working grid."""
    s, p, l = (stride * mm for mm in grid.spacing_mm)  # noqa: E741 - the axes' names
    return Cells(stride, (s, p, l))


def find_spheres(
    network: LocationDetector,
    volume: Tensor,
    grid: Grid,
    frame: Locator,
    *,
    tile: int,
    overlap: float,
    least: float,
    lungs: Lungs | None,
    progress: Progress | None = None,
) -> Found:
    """Detect in a volume.

    Parameters
    ----------
    network
        In evaluation mode.
    volume
        (D, H, W) network input, on the network's device.
    grid, frame
        Of the volume, and what its locations refer to.
    tile, overlap
        Of windows.
    least
        Lowest score told.
    lungs
        Only findings in or at these lungs are looked for; everywhere when None.
    progress
        Told how many windows of how many are done.
    """

    def scored(x: Tensor, starts: NDArray[np.int_]) -> Tensor:
        boxes = np.stack([tile_box(grid, frame, start, tile) for start in starts])
        maps: Tensor = network(x, torch.from_numpy(boxes).to(x.device))
        return maps

    wanted = None if lungs is None else _on_grid(lungs, grid)
    maps = sliding_windows(
        volume,
        scored,
        window=tile,
        overlap=overlap,
        progress=progress,
        activation=blendable,
        stride=network.stride,
        wanted=wanted,
    )
    scores, centres, sizes = decode(
        maps[0], maps[1:4], maps[4:], cells_of(grid, network.stride), least=least
    )
    points = grid.to_patient(centres.cpu().numpy())
    spheres = as_spheres(np.column_stack([points, sizes.cpu().numpy()]))
    values = scores.double().cpu().numpy()
    kept = keep_best(spheres, values)
    if lungs is not None:
        near = near_lungs(spheres, lungs)
        kept = kept[near[kept]]
    return Found(spheres[kept[:MOST]], values[kept[:MOST]])


def near_lungs(spheres: Spheres, lungs: Lungs) -> NDArray[np.bool_]:
    """Return which spheres touch the lungs or nearly do."""
    mask, grid = lungs
    away = ndimage.distance_transform_edt(mask == 0, sampling=grid.spacing_mm)
    index = np.rint(grid.to_index(spheres[:, :3])).astype(int)
    # Beyond the mask's grid the nearest voxel of it, and how far that is.
    held = np.clip(index, 0, np.array(mask.shape) - 1)
    beyond = np.linalg.norm((index - held) * grid.spacing_mm, axis=1)
    return np.asarray(away[tuple(held.T)] + beyond <= spheres[:, 3] / 2 + _OUTSIDE_MM)


def _on_grid(lungs: Lungs, grid: Grid) -> Tensor | None:
    """Return the working voxels that hold lung; None where there is none."""
    mask, own = lungs
    index = np.rint(grid.to_index(own.to_patient(np.argwhere(mask > 0)))).astype(int)
    inside = ((index >= 0) & (index < grid.shape)).all(axis=1)
    if not inside.any():
        return None
    wanted = torch.zeros(grid.shape, dtype=torch.bool)
    wanted[tuple(torch.from_numpy(index[inside].T))] = True
    return wanted
