"""Resampling from one grid to another: nearest, linear or cubic B-spline.

Values, borders and the meaning of "outside" follow ITK: a point counts as inside when
it is at most half a voxel beyond the outermost voxel centres. Integers are rounded,
where ITK truncates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.scans.blas import one_blas_thread
from scanlearn.scans.geometry import Grid
from scanlearn.scans.interpolation import (
    AxisMatrix,
    antialias_sigma,
    axis_matrix,
    inside_axis,
    nearest_index,
)

#: Largest drift, in source voxels over the whole target, that still counts as parallel.
_PARALLEL_TOLERANCE = 1e-4

#: Positions are rounded to this many decimals: whole voxels stay whole.
_DECIMALS = 7

#: Samples along an axis that a cubic B-spline needs.
_SPLINE_SAMPLES = 4

#: Voxels of a slab: small enough for its passes to stay in the processor's cache.
_SLAB_VOXELS = 1 << 20


def resample(
    voxels: NDArray[np.generic],
    source: Grid,
    target: Grid,
    *,
    order: int,
    outside: float,
    antialias: bool = False,
) -> NDArray[np.generic]:
    """Sample a volume at the voxel centres of another grid.

    Parameters
    ----------
    voxels
        Array of shape ``source.shape``, finite.
    source, target
        Where the voxels are and where they are wanted.
    order
        0 nearest (labels), 1 linear, 3 cubic B-spline.
    outside
        Value of target voxels beyond the source.
    antialias
        Blur along each source axis that is sampled more coarsely than it is spaced.

    Returns
    -------
    NDArray
        Array of shape ``target.shape`` and of the input's type: integers are rounded
        and clipped to their range.

    Raises
    ------
    ValueError
        If the order is not 0, 1 or 3 or the voxels do not fill the source grid.
    """
    if order not in (0, 1, 3):
        raise ValueError(f"order must be 0, 1 or 3, not {order}")
    if voxels.shape != source.shape:
        raise ValueError(f"voxels {voxels.shape} do not fill the grid {source.shape}")
    matrix = np.linalg.inv(source.affine) @ target.affine
    axes = _common_axes(matrix, target.shape)
    sigmas = _blur(matrix) if antialias and order else np.zeros(3)
    if axes is None:
        return _general(voxels, matrix, target.shape, order, outside, sigmas)
    positions = [
        np.round(matrix[axis, k] * np.arange(n) + matrix[axis, 3], _DECIMALS)
        for k, (axis, n) in enumerate(zip(axes, target.shape, strict=True))
    ]
    voxels = voxels.transpose(axes)
    whole = all((x == np.round(x)).all() for x in positions)
    if order == 0 or (whole and not sigmas.any()):
        out = _gather(voxels, positions)
    else:
        with one_blas_thread():
            out = _separable(voxels, positions, order, sigmas[list(axes)])
    for k, x in enumerate(positions):
        beyond = ~inside_axis(x, voxels.shape[k])
        if beyond.any():
            out[(slice(None),) * k + (beyond,)] = _cast(np.array(outside), out.dtype)
    return out


def _common_axes(
    matrix: NDArray[np.float64], shape: tuple[int, int, int]
) -> tuple[int, ...] | None:
    """Return the one source axis each target axis runs along; None where not so."""
    reach = np.abs(matrix[:3, :3]) * np.maximum(np.array(shape) - 1, 1)
    axes = np.abs(matrix[:3, :3]).argmax(axis=0)
    if len(set(axes.tolist())) < 3:
        return None
    reach[axes, np.arange(3)] = 0
    parallel = reach.sum(axis=1).max() <= _PARALLEL_TOLERANCE
    return tuple(int(axis) for axis in axes) if parallel else None


def _blur(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Gaussian width of each source axis against aliasing."""
    steps = np.abs(matrix[:3, :3]).max(axis=1)
    return np.array([antialias_sigma(float(step)) for step in steps])


def _gather(
    voxels: NDArray[np.generic], positions: list[NDArray[np.float64]]
) -> NDArray[np.generic]:
    picks = [nearest_index(x, n) for x, n in zip(positions, voxels.shape, strict=True)]
    return np.ascontiguousarray(voxels[np.ix_(*picks)])


def _separable(
    voxels: NDArray[np.generic],
    positions: list[NDArray[np.float64]],
    order: int,
    sigmas: NDArray[np.float64],
) -> NDArray[np.generic]:
    if positions[0][-1] < positions[0][0]:
        # Rows are read once and in order, so the first axis must run forwards.
        voxels = voxels[::-1]
        positions = [len(voxels) - 1 - positions[0], *positions[1:]]
    work = _work_type(voxels.dtype)
    first, second, third = (
        axis_matrix(x, n, order=order, dtype=work, sigma=float(sigma))
        for x, n, sigma in zip(positions, voxels.shape, sigmas, strict=True)
    )
    shape = (first.shape[0], second.shape[0], third.shape[0])
    out = np.empty(shape, dtype=voxels.dtype)
    held = np.empty((0, *shape[1:]), dtype=work)
    held_from = 0
    starts = [sources.start for _, sources, _ in first.blocks]
    for k, (targets, sources, weights) in enumerate(first.blocks):
        # Consecutive blocks share source rows: keep those, make only the new ones.
        needed_from = min(starts[k:])
        held = held[max(needed_from - held_from, 0) :]
        held_from = needed_from
        new = voxels[held_from + len(held) : sources.stop]
        held = np.concatenate([held, _in_plane(new, second, third, work)])
        used = held[sources.start - held_from : sources.stop - held_from]
        rows = weights @ used.reshape(len(used), -1)
        out[targets] = _cast(rows.reshape(-1, *shape[1:]), out.dtype)
    return out


def _in_plane(
    voxels: NDArray[np.generic],
    second: AxisMatrix,
    third: AxisMatrix,
    work: np.dtype[np.floating],
) -> NDArray[np.floating]:
    """Map the second and third axis, a few rows at a time to stay in the cache."""
    out = np.empty((len(voxels), second.shape[0], third.shape[0]), dtype=work)
    step = max(1, _SLAB_VOXELS // (voxels.shape[1] * voxels.shape[2]))
    for start in range(0, len(voxels), step):
        rows = np.ascontiguousarray(voxels[start : start + step], dtype=work)
        out[start : start + step] = second.along_middle(third.along_last(rows))
    return out


def _general(
    voxels: NDArray[Any],
    matrix: NDArray[np.float64],
    shape: tuple[int, int, int],
    order: int,
    outside: float,
    sigmas: NDArray[np.float64],
) -> NDArray[Any]:
    """Resample between any axes with ITK, in index space, where shear is allowed."""
    import SimpleITK

    work = _work_type(voxels.dtype)
    # ITK takes integers as they are, but neither booleans nor another byte order.
    kept = voxels.dtype.kind in "iu" and not sigmas.any()
    samples = voxels.astype(
        voxels.dtype.newbyteorder("=") if kept else work, copy=False
    )
    if sigmas.any():
        samples = ndimage.gaussian_filter(samples, sigmas, mode="mirror")
    if order == 3 and min(voxels.shape) < _SPLINE_SAMPLES:
        return _cast(_short(samples, matrix, shape, outside, work), voxels.dtype)
    # An ITK index counts the axes of its array from last to first.
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(matrix[2::-1, 2::-1].ravel().tolist())
    transform.SetTranslation(matrix[2::-1, 3].tolist())
    image = SimpleITK.Resample(
        SimpleITK.GetImageFromArray(samples),
        shape[::-1],
        transform,
        _interpolator(order),
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        np.eye(3).ravel().tolist(),
        outside,
        SimpleITK.sitkFloat32 if work == np.float32 else SimpleITK.sitkFloat64,
    )
    return _cast(SimpleITK.GetArrayFromImage(image), voxels.dtype)


def _short(
    samples: NDArray[Any],
    matrix: NDArray[np.float64],
    shape: tuple[int, int, int],
    outside: float,
    work: np.dtype[np.floating],
) -> NDArray[np.floating]:
    """Resample a volume of few slices by cubic splines: ITK's read beyond its ends."""
    values: NDArray[np.floating] = ndimage.affine_transform(
        samples, matrix[:3, :3], matrix[:3, 3], shape, work, order=3, mode="mirror"
    )
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    x = index @ matrix[:3, :3].T + matrix[:3, 3]
    inside = np.all((x >= -0.5) & (x < np.array(samples.shape) - 0.5), axis=-1)
    values[~inside] = outside
    return values


def _interpolator(order: int) -> int:
    import SimpleITK

    by_order = {
        0: SimpleITK.sitkNearestNeighbor,
        1: SimpleITK.sitkLinear,
        3: SimpleITK.sitkBSpline,
    }
    return int(by_order[order])


def _work_type(dtype: np.dtype[np.generic]) -> np.dtype[np.floating]:
    """Return the float type that holds every value of a type."""
    small = dtype.itemsize <= 2 or dtype == np.float32
    return np.dtype(np.float32 if small else np.float64)


def _cast(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert to a type; floats are rounded and clipped on the way to integers."""
    if values.dtype == dtype or dtype.kind == "f":
        return values.astype(dtype, copy=False)
    if dtype.kind == "b":
        return np.asarray(values >= 0.5)
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(values), limits.min, limits.max), dtype=dtype)
