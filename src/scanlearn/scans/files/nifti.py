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
from nibabel.openers import ImageOpener
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.scans.files.signatures import unreadable
from scanlearn.scans.files.sizes import (
    doubtful_size,
    refuse_short_file,
    refuse_too_large,
)
from scanlearn.scans.formats import stem_of
from scanlearn.scans.geometry import Grid, box_corners, grid_from_ras
from scanlearn.scans.scan import Acquisition, Problem, Scan, ScanEntry, several_volumes
from scanlearn.scans.units import millimetres
from scanlearn.scans.values import guess_acquisition, smallest_exact, without_gaps

#: sform and qform that place a corner further apart than this disagree.
FORMS_TOLERANCE_MM = 0.1
#: Codes of ``xyzt_units``; files that state none mean millimetres.
_UNITS = {0: "mm", 1: "m", 2: "mm", 3: "um"}
#: Voxel sizes that differ by less than this share are the same.
_SAME_SIZE = 0.01
#: Of a map whose axes are scaled to length 1; less is flat.
_LEAST_VOLUME = 1e-6
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
    problems += several_volumes(path, opened.grid.shape, opened.volumes, volume)
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
    several = several_volumes(path, opened.grid.shape, opened.volumes)
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
        raise _no_nifti(path, image)
    header = image.header
    shape = tuple(int(n) for n in image.shape)
    if image.get_data_dtype().kind not in "iuf":
        raise _no_scalar_volume(path, "colours or complex numbers")
    if str(header.get_intent()[0]) in _VECTOR_INTENTS and len(shape) > 4:
        raise _no_scalar_volume(path, "a vector in every voxel")
    if not shape or min(shape) < 1:
        raise _unreadable(path, "it holds no voxels")
    spatial = (*shape[:3], 1, 1, 1)[:3]
    grid, problems = _geometry(path, header, spatial)
    _check_size(path, image, spatial)
    problems = (*problems, *_rescale_problems(path, image), *doubtful_size(path, grid))
    return _Opened(path, image, grid, math.prod(shape[3:]), problems)


def _no_nifti(path: Path, image: Any) -> BadScan:
    if not isinstance(image, nib.AnalyzeImage):
        return _unreadable(path, "not NIfTI")
    return BadScan(
        f"{path} is Analyze 7.5, which does not state the left and right of a patient",
        expected="NIfTI",
        next_step="Make NIfTI of it with the program that wrote it; check the sides",
    )


def _geometry(
    path: Path, header: Any, shape: tuple[int, ...]
) -> tuple[Grid, tuple[Problem, ...]]:
    unit_mm, of_unit = _unit(path, header)
    affine, of_forms = _affine(path, header, shape, unit_mm)
    try:
        grid = grid_from_ras(shape, np.diag([*[unit_mm] * 3, 1.0]) @ affine)
    except ValueError as error:
        raise _unreadable(path, f"its affine is unusable: {error}") from error
    return grid, (*of_unit, *of_forms)


def _unit(path: Path, header: Any) -> tuple[float, list[Problem]]:
    """Return how many millimetres the header's unit of length is."""
    code = int(header["xyzt_units"]) & 0b111
    if code in _UNITS:
        return millimetres(_UNITS[code]) or 1.0, []
    text = f"{path.name} states a unit of length that does not exist ({code})"
    action = "Millimetres were taken; check the size"
    return 1.0, [Problem("unknown_unit", "warning", text, action)]


def _affine(
    path: Path, header: Any, shape: tuple[int, ...], unit_mm: float
) -> tuple[NDArray[np.float64], list[Problem]]:
    """Return the map to the file's own unit (RAS): sform, else qform, else sizes."""
    forms = {"sform": _form(header.get_sform), "qform": _form(header.get_qform)}
    stated = {"sform": int(header["sform_code"]), "qform": int(header["qform_code"])}
    sound = {name: form for name, form in forms.items() if form is not None}
    broken = [name for name in forms if stated[name] > 0 and name not in sound]
    if not sound and broken:
        names = " and ".join(broken)
        raise _unreadable(path, f"its affine ({names}) is singular or holds no numbers")
    if not sound:
        text = f"{path.name} says nothing about its place in the patient"
        action = "Check left and right before trusting the orientation letters"
        problem = Problem("no_geometry", "warning", text, action)
        return np.asarray(header.get_base_affine()), [problem]
    used, affine = next(iter(sound.items()))
    text, action = "", f"The {used} was used; check the orientation"
    if broken:
        text = f"the {broken[0]} of {path.name} is singular or holds no numbers"
        text = f"{text}: the {used} was used"
    elif len(sound) == 2:
        gap = _gap(sound["sform"], sound["qform"], shape) * unit_mm
        if gap > FORMS_TOLERANCE_MM:
            text = f"sform and qform of {path.name} disagree by up to {gap:.1f} mm"
    elif not _same_sizes(affine, header):
        text = f"the {used} of {path.name} states other voxel sizes than its pixdim"
        action = f"The {used} was used; check the size"
    return affine, [Problem("forms_disagree", "warning", text, action)] if text else []


def _form(get: Any) -> NDArray[np.float64] | None:
    """Return a matrix that the header states and that has a volume."""
    try:
        matrix, code = get(coded=True)
    except Exception:  # noqa: BLE001 - an impossible quaternion counts as broken
        return None
    if matrix is None or code <= 0 or not np.isfinite(matrix).all():
        return None
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not lengths.all():
        return None
    volume = abs(np.linalg.det(matrix[:3, :3] / lengths))
    return np.asarray(matrix, dtype=np.float64) if volume > _LEAST_VOLUME else None


def _gap(
    one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]
) -> float:
    """Return how far apart two matrices put the corners of an image."""
    corners = box_corners(np.zeros(3), np.array(shape) - 1.0)
    corners = np.column_stack([corners, np.ones(8)])
    return float(np.abs(corners @ (one - other).T).max())


def _same_sizes(affine: NDArray[np.float64], header: Any) -> bool:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    stated = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    known = np.isfinite(stated) & (stated > 0)
    return bool(np.allclose(lengths[known], stated[known], rtol=_SAME_SIZE))


def _rescale_problems(path: Path, image: Any) -> list[Problem]:
    """Tell of an offset that the standard leaves out, for its slope is no number."""
    # nibabel takes both out of the header it keeps.
    files = image.file_map
    with ImageOpener(files.get("header", files["image"]).filename) as file:
        header = type(image.header).from_fileobj(file, check=False)
    slope, shift = float(header["scl_slope"]), float(header["scl_inter"])
    if (slope and math.isfinite(slope)) or not shift or not math.isfinite(shift):
        return []
    text = (
        f"{path.name} states an offset of {shift:g} with a slope of {slope:g}: by the "
        "standard the values were taken as they are stored"
    )
    return [Problem("offset_unused", "warning", text, "Check the values")]


def _check_size(path: Path, image: Any, shape: tuple[int, ...]) -> None:
    """Find a truncated file, or a header that lies, without reading the voxels."""
    holder, proxy = image.file_map["image"].filename, image.dataobj
    refuse_too_large(path, math.prod(shape) * proxy.dtype.itemsize)
    if holder is None:
        return
    packed = str(holder).lower().endswith((".gz", ".bz2", ".zst"))
    needed = math.prod(map(int, proxy.shape)) * proxy.dtype.itemsize
    held = Path(holder).stat().st_size - (0 if packed else proxy.offset)
    refuse_short_file(path, needed, held, packed=packed)


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


def _unreadable(path: Path, why: str) -> BadScan:
    expected = "a complete NIfTI file"
    return unreadable(path, why, what="NIfTI", expected=expected)


def _no_scalar_volume(path: Path, found: str) -> BadScan:
    return BadScan(
        f"{path} holds {found}",
        expected="one number per voxel",
        next_step="Choose the scan this file was made from",
    )
