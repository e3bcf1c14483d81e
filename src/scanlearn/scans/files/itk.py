"""NRRD and MetaImage through SimpleITK."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.scans.files.itk_header import TextHeader, read_text_header
from scanlearn.scans.files.signatures import unreadable
from scanlearn.scans.files.sizes import (
    doubtful_size,
    refuse_short_file,
    refuse_too_large,
)
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import (
    Acquisition,
    Problem,
    Scan,
    ScanEntry,
    several_volumes,
)
from scanlearn.scans.values import guess_acquisition, smallest_exact, without_gaps


def read_itk(path: Path, *, volume: int | None = None) -> Scan:
    """Read an NRRD or MetaImage file; of a 4D file one volume, by default the first.

    Array axes are (z, y, x) of the file. Voxels are kept exactly.

    Raises
    ------
    BadScan
        The file cannot be read, is truncated, holds vectors or has no such volume.
    """
    reader = _header(path)
    grid, volumes, problems = _understood(path, reader)
    if not 0 <= (volume or 0) < volumes:
        raise BadScan(
            f"{path} has no volume {volume}",
            expected=f"a volume from 0 to {volumes - 1}",
            next_step="Choose one of these volumes",
        )
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _unreadable(path, _reason(error)) from error
    voxels = _array(image).reshape(volumes, *grid.shape)[volume or 0]
    voxels = smallest_exact(np.ascontiguousarray(voxels), 1.0, 0.0)
    voxels, gaps = without_gaps(voxels, path)
    acquisition, guessed = guess_acquisition(voxels, description="")
    problems += several_volumes(path, grid.shape, volumes, volume)
    return Scan(voxels, grid, acquisition, path.stem, (*problems, *gaps, *guessed))


def itk_entry(path: Path) -> ScanEntry:
    """Return what the header of an NRRD or MetaImage file says of a scan."""
    grid, volumes, problems = _understood(path, _header(path))
    shape: tuple[int, ...] = grid.shape
    problems += several_volumes(path, shape, volumes)
    return ScanEntry(
        path=path,
        kind="itk",
        files=(path,),
        acquisition=Acquisition(),
        shape=(*shape, volumes) if volumes > 1 else shape,
        spacing_mm=grid.spacing_mm,
        orientation=grid.orientation,
        patient=path.stem,
        problems=tuple(problems),
    )


def _header(path: Path) -> Any:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    # Left to itself, ITK goes by the ending, and does not know ".MHA".
    header = checked_header(path)
    reader.SetImageIO("NrrdImageIO" if header.is_nrrd else "MetaImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, _reason(error)) from error
    if reader.GetNumberOfComponents() != 1:
        raise BadScan(
            f"{path} holds {reader.GetNumberOfComponents()} values in every voxel",
            expected="one number per voxel",
            next_step="Choose the scan this file was made from",
        )
    return reader


def checked_header(path: Path) -> TextHeader:
    """Read the fields of a header; refuse one that cannot be, or leads elsewhere."""
    try:
        header = read_text_header(path)
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    fault = header.fault()
    if fault:
        raise _unreadable(path, fault)
    elsewhere = header.file_elsewhere()
    if elsewhere:
        raise BadScan(
            f"{path} names a file outside its folder for its voxels ({elsewhere})",
            expected="a data file beside the header",
            next_step="Put the data file beside it and correct the name in the header",
        )
    if header.data_file.exists() and not header.data_file.is_file():
        raise _unreadable(path, f"{header.data_file.name} is no plain file")
    return header


def _understood(path: Path, reader: Any) -> tuple[Grid, int, list[Problem]]:
    """Return the grid in array order (z, y, x), the number of volumes, and remarks."""
    header = checked_header(path)
    scale_mm, problems = header.millimetres()
    grid, volumes = _grid(path, reader, scale_mm)
    _check_size(path, reader, header)
    problems += [*header.place_problems(), *doubtful_size(path, grid)]
    return grid, volumes, problems


def _check_size(path: Path, reader: Any, header: TextHeader) -> None:
    """Find a header that lies about its size without reading the voxels."""
    (bits,) = re.findall(r"(\d+)-bit", _pixel_type(reader)) or ("8",)
    needed = math.prod(reader.GetSize()) * int(bits) // 8
    refuse_too_large(path, needed)
    data = header.data_file
    if data.is_file() and not header.is_packed_by_bzip2:
        refuse_short_file(path, needed, data.stat().st_size, packed=True)


def _pixel_type(reader: Any) -> str:
    import SimpleITK

    return str(SimpleITK.GetPixelIDValueAsString(reader.GetPixelID()))


def _grid(
    path: Path, reader: Any, scale_mm: tuple[float, float, float]
) -> tuple[Grid, int]:
    dimension = reader.GetDimension()
    size = [int(n) for n in reader.GetSize()]
    spacing = np.array(reader.GetSpacing())
    origin = np.array(reader.GetOrigin())
    turn = np.array(reader.GetDirection()).reshape(dimension, dimension)
    keep = min(dimension, 3)
    matrix = np.eye(3)
    matrix[:keep, :keep] = turn[:keep, :keep] * spacing[:keep]
    affine = np.eye(4)
    affine[:3, :3] = matrix[:, ::-1]
    affine[:keep, 3] = origin[:keep]
    affine[:3] *= np.array(scale_mm)[:, None]
    nz, ny, nx = (*size[:3], 1)[:3][::-1]
    try:
        return Grid((nz, ny, nx), affine), math.prod(size[3:])
    except ValueError as error:
        raise _unreadable(path, f"its geometry is unusable ({error})") from error


def _array(image: Any) -> NDArray[np.generic]:
    import SimpleITK

    return np.asarray(SimpleITK.GetArrayFromImage(image))


def _reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown reason"


def _unreadable(path: Path, why: str) -> BadScan:
    expected = "a complete NRRD or MetaImage file, together with its data file"
    return unreadable(path, why, what="an image", expected=expected)
