"""Radiographs from PNG, JPEG and TIFF files.

A picture has no place in a patient. Its grid is one slice thick and laid so that it is
canonical: rows and columns of the array are the rows and columns one sees.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from scanlearn.errors import BadScan
from scanlearn.scans.files.exif import UPRIGHT, orientation_of, swaps_sides, turned
from scanlearn.scans.files.signatures import unreadable
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Problem, Scan, ScanEntry, choose_volume
from scanlearn.scans.values import smallest_exact, without_gaps

#: Mammograms have 30 million pixels, scanned films up to 60.
MOST_PIXELS = 80_000_000
_MOST_PAGES = 10_000

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


_TURNED = Problem(
    "turned",
    "note",
    "the file asks viewers to turn the picture (EXIF orientation); it is turned, and "
    "boxes drawn in such a viewer fit it",
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


def read_picture(path: Path, *, volume: int | None = None) -> Scan:
    """Read a grey picture of 8 or 16 bits as a scan of shape (1, rows, columns).

    Of a TIFF file of several pages one is read, by default the first.

    Raises
    ------
    BadScan
        The file is no picture, is truncated or has no such page.
    """
    image, pages = _open(path)
    if not 0 <= (volume or 0) < pages:
        raise BadScan(
            f"{path} has no page {volume}",
            expected=f"a page from 0 to {pages - 1}",
            next_step="Choose one of these pages",
        )
    try:
        with image:
            image.seek(volume or 0)
            orientation = orientation_of(image)
            if image.format == "TIFF" and swaps_sides(orientation):
                # Pillow turns such a file wrongly where it maps it into memory.
                image = Image.open(BytesIO(path.read_bytes()))
                image.seek(volume or 0)
            values, problems = _grey(image, path, orientation)
            if image.format != "TIFF":  # those Pillow has turned
                values = turned(values, orientation)
    except Exception as error:  # Pillow raises many kinds on damaged bytes
        raise _unreadable(path, f"it breaks off ({error})") from error
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    voxels, gaps = without_gaps(smallest_exact(values, 1.0, 0.0)[None], path)
    if orientation != UPRIGHT:
        problems = [*problems, _TURNED]
    if pages > 1 and volume is None:
        problems = [*problems, _several(path, pages)]
    grid = picture_grid(*values.shape)
    return Scan(voxels, grid, Acquisition(), path.stem, (*problems, *gaps))


def picture_entries(path: Path) -> list[ScanEntry]:
    """Return what a picture's header says of it, one entry a page."""
    image, pages = _open(path)
    entries = []
    for page in range(pages):
        try:
            image.seek(page)
        except Exception as error:  # Pillow raises many kinds on damaged bytes
            raise _unreadable(path, f"it breaks off ({error})") from error
        columns, rows = image.size
        orientation = orientation_of(image)
        if image.format != "TIFF" and swaps_sides(orientation):
            rows, columns = columns, rows
        colour = image.mode not in ("1", "L", "F") and not image.mode.startswith("I")
        entries.append(
            ScanEntry(
                path=path,
                kind="picture",
                files=(path,),
                acquisition=Acquisition(),
                shape=(1, rows, columns),
                spacing_mm=(1.0, 1.0, 1.0),
                orientation="",
                patient=path.stem,
                volume=page if pages > 1 else None,
                problems=(
                    _NO_SPACING,
                    *([_COLOUR] if colour else []),
                    *([_TURNED] if orientation != UPRIGHT else []),
                ),
            )
        )
    image.close()
    return entries


def _open(path: Path) -> tuple[Any, int]:
    """Return an opened picture and the number of its pages."""
    try:
        image = Image.open(path)
        # Other formats hold previews or animations, not more radiographs.
        pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    except UnidentifiedImageError as error:
        raise _unreadable(path, "it is no picture, or of a rare kind") from error
    except Image.DecompressionBombError as error:
        raise _unreadable(path, "it is too large for a radiograph") from error
    except Exception as error:  # Pillow raises many kinds on damaged bytes
        raise _unreadable(path, str(error)) from error
    _refuse_large(path, image, pages)
    return image, int(pages)


def _refuse_large(path: Path, image: Any, pages: int) -> None:
    columns, rows = image.size
    if columns * rows > MOST_PIXELS:
        image.close()
        raise BadScan(
            f"{path} has {rows * columns / 1e6:,.0f} megapixels ({rows} x {columns}), "
            "more than any radiograph",
            expected=f"at most {MOST_PIXELS / 1e6:.0f} megapixels",
            next_step="Save it smaller, or take it out",
        )
    if pages > _MOST_PAGES:
        image.close()
        raise BadScan(
            f"{path} has {pages:,} pages",
            expected=f"at most {_MOST_PAGES:,} radiographs in a file",
            next_step="Save them in several files, or take it out",
        )


def _grey(
    image: Any, path: Path, orientation: int
) -> tuple[NDArray[np.generic], list[Problem]]:
    """Return (rows, columns) grey values and what was found."""
    is_deep = _is_deep_colour(image)
    image.load()
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8) * 255, [_NO_SPACING]
    if image.mode.startswith("I;16") and _is_min_white(image):
        # Pillow turns such values of 8 bits only.
        return (1 << _bits(image)) - 1 - np.array(image), [_NO_SPACING]
    if image.mode in ("L", "F") or image.mode.startswith("I"):
        return np.array(image), [_NO_SPACING]
    if image.mode in ("LA", "La"):
        return np.array(image.getchannel(0)), [_NO_SPACING]
    page = image.tell()
    channels = (
        turned(_deep(path, page), orientation)
        if is_deep
        else np.asarray(image.convert("RGB"))
    )
    if (channels == channels[..., :1]).all():
        # Grey stored as three equal channels.
        return np.array(channels[..., 0]), [_NO_SPACING]
    return np.asarray(image.convert("L")), [_NO_SPACING, _COLOUR]


def _is_min_white(image: Any) -> bool:
    tags = getattr(image, "tag_v2", {})
    return bool(tags.get(ExifTags.Base.PhotometricInterpretation, 1) == 0)


def _bits(image: Any) -> int:
    return int(np.atleast_1d(image.tag_v2.get(ExifTags.Base.BitsPerSample, 16))[0])


def _is_deep_colour(image: Any) -> bool:
    """Whether the file holds colours of 16 bits, of which Pillow keeps 8."""
    return image.mode == "RGB" and any("RGB;16" in str(t) for t in image.tile)


def _deep(path: Path, page: int) -> NDArray[np.generic]:
    """Return all bits of the channels (rows, columns, 3) of a page."""
    import SimpleITK

    channels = np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))))
    return channels if channels.ndim == 3 else channels[page]


def _several(path: Path, pages: int) -> Problem:
    text = f"{path.name} holds {pages} pages; the first is read"
    return Problem("pages", "warning", text, choose_volume(pages))


def _unreadable(path: Path, why: str) -> BadScan:
    expected = "one PNG, JPEG or TIFF picture"
    return unreadable(path, why, what="a radiograph", expected=expected)
