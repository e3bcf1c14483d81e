"""Radiographs from PNG, JPEG and TIFF files.

A picture has no place in a patient. Its grid is one slice thick and laid so that it is
canonical: rows and columns of the array are the rows and columns one sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from scanlearn.errors import BadScan
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Problem, Scan, ScanEntry
from scanlearn.scans.values import smallest_exact, without_gaps

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

_NO_SPACING = Problem(
    "no_spacing",
    "note",
    "a picture file has no spacing; 1 mm per pixel was taken",
    "Do not trust sizes measured on it",
)
_COLOUR = Problem(
    "colour",
    "warning",
    "a colour picture; its brightness was taken",
    "Check the picture",
)


def picture_grid(
    rows: int, columns: int, *, spacing_mm: tuple[float, float] = (1.0, 1.0)
) -> Grid:
    """Return the grid (1, rows, columns) of a projection image.

    Parameters
    ----------
    rows, columns
        Size of the picture.
    spacing_mm
        Distance of neighbouring rows and of neighbouring columns.
    """
    affine = np.zeros((4, 4))
    affine[2, 0] = min(spacing_mm)
    affine[1, 1] = spacing_mm[0]
    affine[0, 2] = spacing_mm[1]
    affine[3, 3] = 1.0
    return Grid((1, rows, columns), affine)


def read_picture(path: Path) -> Scan:
    """Read a grey picture of 8 or 16 bits as a scan of shape (1, rows, columns).

    Raises
    ------
    BadScan
        The file is no picture, is truncated or holds several pages.
    """
    image = _open(path)
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, f"it breaks off ({error})") from error
    values, problems = _grey(image)
    voxels, gaps = without_gaps(smallest_exact(values, 1.0, 0.0)[None], path)
    grid = picture_grid(*values.shape)
    return Scan(voxels, grid, Acquisition(), path.stem, (*problems, *gaps))


def picture_entry(path: Path) -> ScanEntry:
    """Return what a picture's header says of it."""
    with _open(path) as image:
        columns, rows = image.size
        colour = image.mode not in ("1", "L", "F") and not image.mode.startswith("I")
    return ScanEntry(
        path=path,
        kind="picture",
        files=(path,),
        acquisition=Acquisition(),
        shape=(1, rows, columns),
        spacing_mm=(1.0, 1.0, 1.0),
        orientation="",
        patient=path.stem,
        problems=(_NO_SPACING, _COLOUR) if colour else (_NO_SPACING,),
    )


def _open(path: Path) -> Any:
    try:
        image = Image.open(path)
    except UnidentifiedImageError as error:
        raise _unreadable(path, "it is no picture") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise _unreadable(path, str(error)) from error
    except Image.DecompressionBombError as error:
        raise _unreadable(path, "it is too large for a radiograph") from error
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        image.close()
        raise _unreadable(path, f"it holds {pages} pages, not one radiograph")
    return image


def _grey(image: Any) -> tuple[NDArray[np.generic], list[Problem]]:
    """Return (rows, columns) grey values and what was found."""
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8) * 255, [_NO_SPACING]
    if image.mode in ("L", "F") or image.mode.startswith("I"):
        return np.array(image), [_NO_SPACING]
    if image.mode in ("LA", "La"):
        return np.array(image.getchannel(0)), [_NO_SPACING]
    channels = np.asarray(image.convert("RGB"))
    if (channels == channels[..., :1]).all():
        # Grey stored as three equal channels.
        return np.array(channels[..., 0]), [_NO_SPACING]
    return np.asarray(image.convert("L")), [_NO_SPACING, _COLOUR]


def _unreadable(path: Path, why: str) -> BadScan:
    return BadScan(
        f"{path} cannot be read as a radiograph: {why}",
        expected="one PNG, JPEG or TIFF picture",
        next_step="Export the picture again, or take the file out",
    )
