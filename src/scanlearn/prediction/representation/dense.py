"""Feature maps of whole scans: every few millimetres the vector of the patch there.

Two encoders, two modes. The release's pads its patches with zeros, so every patch has
to be cut and passed by itself, with kernels mixed for its own location: *exact* mode,
for patches that hold enough lung only. The dense encoder passes the volume once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.errors import BadConfig
from scanlearn.nets.dense_encoder import STRIDE, DenseEncoder, LocationMap
from scanlearn.prediction.representation.embedding import Embedder, Progress, Vectors
from scanlearn.prediction.representation.encoder_scans import EncoderScan
from scanlearn.scans.geometry import Grid

#: Least lung fraction of a patch worth encoding: that of the landmarks.
_LEAST_LUNG = 0.1

_BATCH = 64


@dataclass(frozen=True, eq=False)
class DenseFeatures:
    """The vectors of a scan's patches on a coarse grid.

    Parameters
    ----------
    features
        (d, D, H, W) float32; 0 where not known.
    known
        (D, H, W) where a patch was encoded.
    grid
        Where the patches' centres are.
    """

    features: Vectors
    known: NDArray[np.bool_]
    grid: Grid


def dense_features(
    embedder: Embedder,
    scan: EncoderScan,
    stride_mm: float = 8.0,
    *,
    progress: Progress = lambda done, total: None,
) -> DenseFeatures:
    """Encode the patches around the points of a regular grid over a scan.

    Parameters
    ----------
    embedder
        The encoder; ``precision="auto"`` is several times as fast where there is bf16.
    scan
        The scan.
    stride_mm
        Distance of neighbouring patches, in whole voxels; for the dense encoder a
        multiple of 8 voxels.
    progress
        Told how many patches of how many are done.

    Raises
    ------
    BadConfig
        If the encoder cannot make a map of this stride.
    """
    voxel = min(scan.grid.spacing_mm)
    stride = _in_voxels(scan, stride_mm)
    dense = isinstance(embedder.encoder, DenseEncoder)
    if dense and stride % STRIDE:
        raise BadConfig(
            f"The dense encoder cannot make a map of {stride_mm:g} mm",
            expected=f"a multiple of {STRIDE * voxel:g} mm",
            next_step="Choose one of these",
        )
    starts = _starts(scan.grid, embedder.card.patch_voxels, stride)
    shape = [len(line) for line in starts]
    grid = _grid_of(scan.grid, starts, embedder.card.patch_voxels, stride)
    known = _worth(scan, grid, embedder.patch_mm)
    if dense:
        features = _one_pass(embedder, scan, starts, stride)
        features *= known
        progress(int(known.sum()), int(known.sum()))
    else:
        features = np.zeros((embedder.encoder.dim, *shape), np.float32)
        _window_by_window(embedder, scan, starts, known, features, progress)
    return DenseFeatures(features, known, grid)


def places_worth(
    scan: EncoderScan, side_mm: float, stride_mm: float
) -> tuple[Grid, NDArray[np.bool_]]:
    """Return a regular grid over a scan, and where patches hold enough lung."""
    stride = _in_voxels(scan, stride_mm)
    grid = _grid_of(scan.grid, _starts(scan.grid, 1, stride), 1, stride)
    return grid, _worth(scan, grid, side_mm)


def _in_voxels(scan: EncoderScan, stride_mm: float) -> int:
    return max(1, round(stride_mm / min(scan.grid.spacing_mm)))


def _window_by_window(
    embedder: Embedder,
    scan: EncoderScan,
    starts: list[NDArray[np.int_]],
    known: NDArray[np.bool_],
    features: Vectors,
    progress: Progress,
) -> None:
    side = embedder.card.patch_voxels
    first = np.array([line[0] for line in starts])
    last = np.array([line[-1] for line in starts])
    volume = scan.read(first, last - first + side)
    cells = np.argwhere(known)
    for done in range(0, len(cells), _BATCH):
        some = cells[done : done + _BATCH]
        begin = np.stack([starts[a][some[:, a]] for a in range(3)], axis=1)
        centres = scan.grid.to_patient(begin + (side - 1) / 2)
        voxels = np.stack(
            [
                volume[a : a + side, b : b + side, c : c + side]
                for a, b, c in begin - first
            ]
        )
        vectors = embedder.encode_placed(voxels, scan.frame.to_location(centres))
        features[:, some[:, 0], some[:, 1], some[:, 2]] = vectors.T
        progress(done + len(some), len(cells))


def _one_pass(
    embedder: Embedder, scan: EncoderScan, starts: list[NDArray[np.int_]], stride: int
) -> Vectors:
    encoder = embedder.encoder
    assert isinstance(encoder, DenseEncoder)
    first = np.array([line[0] for line in starts])
    last = np.array([line[-1] for line in starts])
    volume = embedder.network_input(scan.read(first, last - first + encoder.window))
    with embedder.precision():
        features = encoder.feature_map(volume, _location_map(scan, first, volume))
    step = slice(None, None, stride // STRIDE)
    return features[:, step, step, step].cpu().numpy()


def _location_map(
    scan: EncoderScan, first: NDArray[np.int_], like: torch.Tensor
) -> LocationMap:
    """Return the locations of a box that begins at a voxel: they are affine in it."""
    corners = scan.grid.to_patient(first + np.vstack([np.zeros((1, 3)), np.eye(3)]))
    origin, *steps = scan.frame.to_location(corners)
    axes = np.stack([step - origin for step in steps], axis=1)
    return LocationMap(
        torch.as_tensor(origin[None], dtype=like.dtype, device=like.device),
        torch.as_tensor(axes[None], dtype=like.dtype, device=like.device),
    )


def _starts(grid: Grid, side: int, stride: int) -> list[NDArray[np.int_]]:
    """Return the first voxels of windows whose centres cover a grid evenly."""
    lines = []
    for size in grid.shape:
        count = -(-size // stride)
        middle = (size - 1) / 2 - (side - 1) / 2
        begin = round(middle - (count - 1) * stride / 2)
        lines.append(begin + stride * np.arange(count))
    return lines


def _grid_of(
    grid: Grid, starts: list[NDArray[np.int_]], side: int, stride: int
) -> Grid:
    affine = grid.affine.copy()
    affine[:3, :3] *= stride
    first = np.array([line[0] for line in starts]) + (side - 1) / 2
    affine[:3, 3] = grid.to_patient(first)
    return Grid((len(starts[0]), len(starts[1]), len(starts[2])), affine)


def _worth(scan: EncoderScan, grid: Grid, side_mm: float) -> NDArray[np.bool_]:
    """Return where a patch holds enough lung; everywhere without a mask."""
    if scan.lungs is None:
        return np.ones(grid.shape, dtype=bool)
    mask, fine = scan.lungs
    sides = [max(1, round(side_mm / mm)) for mm in fine.spacing_mm]
    share = ndimage.uniform_filter(mask.astype(np.float32), sides, mode="constant")
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"))
    there = fine.to_index(grid.to_patient(np.moveaxis(index, 0, -1)))
    nearest = np.moveaxis(np.rint(there), -1, 0)
    found = ndimage.map_coordinates(share, nearest, order=0, mode="constant")
    return np.asarray(found > _LEAST_LUNG)
