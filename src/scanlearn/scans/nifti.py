"""NIfTI-1 and -2: voxels kept exactly, geometry as nibabel defines it.

A NIfTI file says nothing about how it was made; whether its values are Hounsfield units
is told from the values themselves.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.scans.formats import stem_of
from scanlearn.scans.geometry import Grid, box_corners, grid_from_ras
from scanlearn.scans.scan import Acquisition, Problem, Scan, ScanEntry, choose_volume
from scanlearn.scans.values import guess_acquisition, smallest_exact, without_gaps

#: sform and qform that place a corner further apart than this disagree.
FORMS_TOLERANCE_MM = 0.1
_UNITS_IN_MM = {"mm": 1.0, "meter": 1000.0, "micron": 1e-3, "unknown": 1.0}
_VECTOR_INTENTS = ("vector", "symmetric matrix", "displacement vector", "triangle")


@dataclass(frozen=True, eq=False)
class _Opened:
    """A NIfTI file whose header is understood and whose voxels are not yet read."""

    path: Path
    image: Any
    grid: Grid
    volumes: int
    problems: tuple[Problem, ...]


def read_nifti(path: Path, *, volume: int | None = None) -> Scan:
    """Read a NIfTI file; of a 4D file one volume, by default the first.

    Array axes stay in the file's order. Whole numbers stay whole numbers.

    Raises
    ------
    BadScan
        The file is no NIfTI file, is truncated, holds no scalar volume, has no such
        volume or no finite voxel.
    """
    opened = _open(path)
    problems = list(opened.problems)
    if not 0 <= (volume or 0) < opened.volumes:
        raise BadScan(
            f"{path} has no volume {volume}",
            expected=f"a volume from 0 to {opened.volumes - 1}",
            next_step="Choose one of these volumes",
        )
    if opened.volumes > 1 and volume is None:
        problems.append(_several(opened))
    voxels = _voxels(opened, volume or 0)
    voxels, gaps = without_gaps(voxels, path)
    acquisition, guessed = guess_acquisition(voxels, description="")
    return Scan(
        voxels,
        opened.grid,
        acquisition,
        stem_of(path),
        (*problems, *gaps, *guessed),
    )


def nifti_entry(path: Path) -> ScanEntry:
    """Return what a NIfTI header says of a scan."""
    opened = _open(path)
    several = [_several(opened)] if opened.volumes > 1 else []
    shape: tuple[int, ...] = opened.grid.shape
    return ScanEntry(
        path=path,
        kind="nifti",
        files=(path,),
        acquisition=Acquisition(),
        shape=(*shape, opened.volumes) if opened.volumes > 1 else shape,
        spacing_mm=opened.grid.spacing_mm,
        orientation=opened.grid.orientation,
        patient=stem_of(path),
        problems=(*opened.problems, *several),
    )


def _open(path: Path) -> _Opened:
    try:
        return _understood(path, nib.load(path))
    except BadScan:
        raise
    except FileNotFoundError as error:
        raise _unreadable(path, "its voxel file is missing") from error
    except Exception as error:  # nibabel and the decompressors raise many kinds
        raise _unreadable(path, str(error)) from error


def _understood(path: Path, image: Any) -> _Opened:
    if not isinstance(image, nib.Nifti1Pair):
        raise _unreadable(path, "not NIfTI")
    header = image.header
    shape = tuple(int(n) for n in image.shape)
    if image.get_data_dtype().kind not in "iuf":
        raise _no_scalar_volume(path, "colours or complex numbers")
    if str(header.get_intent()[0]) in _VECTOR_INTENTS and len(shape) > 4:
        raise _no_scalar_volume(path, "a vector in every voxel")
    if not shape or min(shape) < 1:
        raise _unreadable(path, "it holds no voxels")
    spatial = (*shape[:3], 1, 1, 1)[:3]
    grid, problems = _geometry(path, image, spatial)
    _check_size(path, image)
    return _Opened(path, image, grid, math.prod(shape[3:]), tuple(problems))


def _geometry(
    path: Path, image: Any, shape: tuple[int, ...]
) -> tuple[Grid, list[Problem]]:
    header = image.header
    unit = str(header.get_xyzt_units()[0])
    scale = np.diag([*[_UNITS_IN_MM.get(unit, 1.0)] * 3, 1.0])
    qform, qcode = _form(header.get_qform)
    sform, scode = _form(header.get_sform)
    affine = np.asarray(image.affine, dtype=np.float64)
    problems = []
    if not scode and not qcode:
        text = f"{path.name} says nothing about its place in the patient"
        action = "Check left and right before trusting the orientation letters"
        problems.append(Problem("no_geometry", "warning", text, action))
    if scode and qcode and qform is not None and sform is not None:
        corners = box_corners(np.zeros(3), np.array(shape) - 1.0)
        corners = np.column_stack([corners, np.ones(8)])
        gap = float(np.abs(corners @ (qform - sform).T).max())
        if gap > FORMS_TOLERANCE_MM:
            text = f"sform and qform of {path.name} disagree by up to {gap:.1f} mm"
            action = "The sform was used; check the orientation"
            problems.append(Problem("forms_disagree", "warning", text, action))
    try:
        return grid_from_ras(shape, scale @ affine), problems
    except ValueError as error:
        raise _unreadable(path, f"its affine is unusable: {error}") from error


def _form(get: Any) -> tuple[NDArray[np.float64] | None, int]:
    try:
        matrix, code = get(coded=True)
    except Exception:  # noqa: BLE001 - an impossible quaternion counts as absent
        return None, 0
    return matrix, int(code)


def _check_size(path: Path, image: Any) -> None:
    """Find a truncated uncompressed file without reading it."""
    holder = image.file_map["image"].filename
    if holder is None or str(holder).lower().endswith((".gz", ".bz2", ".zst")):
        return
    proxy = image.dataobj
    need = proxy.offset + math.prod(proxy.shape) * proxy.dtype.itemsize
    found = Path(holder).stat().st_size
    if found < need:
        raise _unreadable(path, f"it is truncated: {found} of {need} bytes")


def _voxels(opened: _Opened, volume: int) -> NDArray[np.generic]:
    proxy = opened.image.dataobj
    slope, shift = _scaling(opened.image)
    raw = ArrayProxy(
        opened.image.file_map["image"].filename,
        (proxy.shape, proxy.dtype, proxy.offset, 1.0, 0.0),
    )
    try:
        if opened.volumes == 1:
            stored = np.asanyarray(raw)
        else:
            index = np.unravel_index(volume, proxy.shape[3:], order="F")
            stored = np.asanyarray(raw[(..., *(int(i) for i in index))])
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _unreadable(opened.path, f"its voxels break off ({error})") from error
    stored = stored.reshape(opened.grid.shape)
    stored = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("="))
    return smallest_exact(stored, slope, shift)


def _scaling(image: Any) -> tuple[float, float]:
    slope, shift = image.dataobj.slope, image.dataobj.inter
    return (
        1.0 if slope is None else float(slope),
        0.0 if shift is None else float(shift),
    )


def _several(opened: _Opened) -> Problem:
    text = f"{opened.path.name} holds {opened.volumes} volumes; the first is read"
    action = choose_volume(opened.volumes)
    return Problem("4d", "warning", text, action)


def _unreadable(path: Path, why: str) -> BadScan:
    return BadScan(
        f"{path} cannot be read as NIfTI: {why}",
        expected="a complete NIfTI file",
        next_step="Copy the file again from where it came from, or take it out",
    )


def _no_scalar_volume(path: Path, found: str) -> BadScan:
    return BadScan(
        f"{path} holds {found}",
        expected="one number per voxel",
        next_step="Choose the scan this file was made from",
    )
