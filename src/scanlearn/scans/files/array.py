"""Volumes and patches from NumPy's ``.npy`` files.

An array says nothing of itself, so what is not given is fixed: axes run to the head,
the back and the left, voxels of volumes are Hounsfield units. Arrays are scans only
where they are named, by a path or in a table: among other files they are anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.scans.files.picture import picture_grid
from scanlearn.scans.files.signatures import unreadable
from scanlearn.scans.files.sizes import refuse_too_large
from scanlearn.scans.geometry import CANONICAL, Grid
from scanlearn.scans.scan import Acquisition, Problem, Scan, ScanEntry
from scanlearn.scans.values import smallest_exact, without_gaps

#: (S, P, L) distance of neighbouring voxels in millimetres.
Spacing = tuple[float, float, float]

_NO_SPACING = Problem(
    "no_spacing",
    "note",
    "an array has no spacing; 1 mm was taken",
    "Name the array in a table with a column spacing",
)


def read_array(
    path: Path, *, volume: int | None = None, spacing_mm: Spacing | None = None
) -> Scan:
    """Read an array (S, P, L) of Hounsfield units, or a 2D patch (rows, columns).

    A patch with values below 0 is taken for Hounsfield units, another for brightness.

    Parameters
    ----------
    path
        The file.
    volume
        Which entry of a stack, counted along its first axis; by default the array
        itself is the scan.
    spacing_mm
        Of the three axes; 1 mm where it is not known.

    Raises
    ------
    BadScan
        The file is damaged, or is no array of numbers of two or three axes.
    """
    chosen = _chosen(path, volume)
    refuse_too_large(path, chosen.nbytes)
    voxels = np.array(chosen)
    if voxels.dtype.kind == "b":
        voxels = voxels.astype(np.uint8)
    voxels = np.ascontiguousarray(voxels, dtype=voxels.dtype.newbyteorder("="))
    flat = voxels.ndim == 2
    voxels = smallest_exact(voxels[None] if flat else voxels, 1.0, 0.0)
    voxels, gaps = without_gaps(voxels, path)
    spacing = spacing_mm or (1.0, 1.0, 1.0)
    if flat:
        grid = picture_grid(*voxels.shape[1:], spacing_mm=spacing[1:])
        about = Acquisition(units="HU" if voxels.min() < 0 else "arbitrary")
    else:
        depth, rows, columns = voxels.shape
        grid = Grid((depth, rows, columns), _affine(spacing))
        about = Acquisition(modality="CT", units="HU")
    unknown = () if spacing_mm else (_NO_SPACING,)
    return Scan(voxels, grid, about, path.stem, (*unknown, *gaps))


def array_entry(
    path: Path, *, volume: int | None = None, spacing_mm: Spacing | None = None
) -> ScanEntry:
    """Return what the header of an array says of a scan; parameters as to read it."""
    shape = _chosen(path, volume).shape
    flat = len(shape) == 2
    return ScanEntry(
        path=path,
        kind="array",
        files=(path,),
        acquisition=Acquisition() if flat else Acquisition(modality="CT", units="HU"),
        shape=(1, *shape) if flat else shape,
        spacing_mm=spacing_mm or (1.0, 1.0, 1.0),
        orientation="" if flat else CANONICAL,
        patient=path.stem,
        volume=volume,
        problems=() if spacing_mm else (_NO_SPACING,),
    )


def _affine(spacing_mm: Spacing) -> NDArray[np.float64]:
    affine = np.zeros((4, 4))
    for axis, along in enumerate((2, 1, 0)):
        affine[along, axis] = spacing_mm[axis]
    affine[3, 3] = 1.0
    return affine


def _chosen(path: Path, volume: int | None) -> NDArray[Any]:
    """Return the scan of a file, or one of a stack, mapped and not yet read."""
    try:
        # Objects in a file are programs that run when they are loaded: not by this.
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy raises many kinds on damaged headers
        expected = "a complete .npy file of numbers, as numpy.save writes it"
        raise unreadable(
            path, str(error), what="an array", expected=expected
        ) from error
    if volume is not None and array.ndim:
        if not 0 <= volume < len(array):
            raise BadScan(
                f"{path} has no entry {volume}",
                expected=f"an index from 0 to {len(array) - 1}",
                next_step="Correct the index",
            )
        array = array[volume]
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3) or not array.size:
        raise BadScan(
            f"{path} is an array {array.shape} of {array.dtype}",
            expected="numbers: a volume (slices, rows, columns) or a patch (rows, "
            "columns)",
            next_step="Of a stack, name each entry in a row of a table, with its "
            "number in a column index",
        )
    return array
