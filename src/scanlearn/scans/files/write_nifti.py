"""NIfTI out: exact voxels, exact geometry, read again before it counts as saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.files import written_beside
from scanlearn.scans.formats import NIFTI
from scanlearn.scans.geometry import Grid, grid_from_ras, ras_affine

#: NIfTI code of coordinates that are those of the scanner.
_SCANNER = 1

#: NIfTI-1 counts voxels along a side in 16 bits.
_LONGEST_SIDE = 32767

#: Cosine between axes below which a grid is a rotation, which a quaternion can hold.
_ORTHOGONAL_TOLERANCE = 1e-5


def write_nifti(
    path: Path, voxels: NDArray[Any], grid: Grid, *, read_back: bool = True
) -> None:
    """Write a volume or label map in its own grid.

    Parameters
    ----------
    path
        Ends in ``.nii`` or ``.nii.gz``; its folder is made if need be.
    voxels
        Array of shape ``grid.shape``. Types that NIfTI readers know are kept; booleans
        become uint8, half floats float32, and 64-bit integers 32-bit where they fit.
    grid
        Where the voxels are. A sheared grid is stored in the sform only.
    read_back
        Compare every voxel and the geometry of the file before it gets its name.

    Raises
    ------
    BadScan
        If the name has another suffix, a value cannot be stored, or the file differs
        when read again; no file is left behind.
    """
    if voxels.shape != grid.shape:
        raise ValueError(f"voxels {voxels.shape} do not fill the grid {grid.shape}")
    _write(Path(path), voxels, grid, read_back=read_back)


def write_nifti_channels(
    path: Path,
    channels: NDArray[Any],
    grid: Grid,
    *,
    step: float | None = None,
    read_back: bool = True,
) -> None:
    """Write channels (C, *grid.shape), such as class probabilities, as one 4D file.

    The channels lie along the fourth NIfTI axis. Otherwise as :func:`write_nifti`.

    Parameters
    ----------
    step
        What an integer of the channels stands for, by which every reader multiplies
        (``scl_slope``): probabilities in steps take a quarter of the room of floats.
    """
    if channels.ndim != 4 or channels.shape[1:] != grid.shape:
        raise ValueError(f"channels {channels.shape} do not fill the grid {grid.shape}")
    voxels = np.moveaxis(channels, 0, -1)
    _write(Path(path), voxels, grid, step=step, read_back=read_back)


def _write(
    path: Path,
    voxels: NDArray[Any],
    grid: Grid,
    *,
    step: float | None = None,
    read_back: bool,
) -> None:
    if not NIFTI.has(path):
        raise BadScan(
            f"{path.name} has no NIfTI suffix",
            expected="a name that ends in .nii or .nii.gz",
            next_step="Choose another file name.",
        )
    stored = _storable(path, voxels)
    affine = ras_affine(grid)
    is_long = max(stored.shape) > _LONGEST_SIDE
    make: Any = nib.Nifti2Image if is_long else nib.Nifti1Image
    image = make(stored, affine)
    image.header.set_xyzt_units("mm", "sec" if stored.ndim == 4 else "unknown")
    image.header.set_slope_inter(step, None if step is None else 0)
    image.header["descrip"] = b"scanlearn; not for clinical use"
    image.set_sform(affine, code=_SCANNER)
    orthogonal = grid.directions.T @ grid.directions - np.eye(3)
    if np.abs(orthogonal).max() < _ORTHOGONAL_TOLERANCE:
        image.set_qform(affine, code=_SCANNER)
    else:
        image.set_qform(None, code=0)
    with written_beside(path) as beside:
        nib.save(image, beside)
        if read_back:
            _compare(path, beside, stored, grid, step)


def _storable(path: Path, voxels: NDArray[Any]) -> NDArray[Any]:
    """Return the voxels in a type that every NIfTI reader knows, values unchanged."""
    if voxels.dtype == np.bool_:
        return voxels.astype(np.uint8)
    if voxels.dtype == np.float16:
        return voxels.astype(np.float32)
    if voxels.dtype in (np.int64, np.uint64):
        narrow = voxels.astype(np.int32)
        if not np.array_equal(narrow, voxels):
            raise BadScan(
                f"{path.name} would hold values up to {voxels.max()}",
                expected="integers of at most 32 bits",
                next_step="Renumber the labels.",
            )
        return narrow
    return voxels


def _compare(
    path: Path, written: Path, voxels: NDArray[Any], grid: Grid, step: float | None
) -> None:
    image: Any = nib.load(written)
    stored = np.asanyarray(image.dataobj.get_unscaled())
    same = stored.shape == voxels.shape and stored.dtype == voxels.dtype
    same = same and bool(np.isclose(image.dataobj.slope, step or 1, rtol=1e-6))
    floating = voxels.dtype.kind == "f"
    if not same or not np.array_equal(stored, voxels, equal_nan=floating):
        raise _differs(path, "voxels")
    if not grid_from_ras(grid.shape, image.affine).matches(grid):
        raise _differs(path, "geometry")


def _differs(path: Path, what: str) -> BadScan:
    return BadScan(
        f"{path.name} was written, but its {what} differ when it is read again",
        expected="the same values as in memory",
        next_step="Check the disk for space and faults, then save again.",
    )
