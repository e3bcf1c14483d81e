"""OME-Zarr in and out: exact voxels, spacing in millimetres, place in the patient."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.files import folder_beside
from scanlearn.scans.files.ngff import (
    Image,
    bad_zarr,
    is_ome_image,
    metadata,
    understand,
)
from scanlearn.scans.files.sizes import refuse_too_large
from scanlearn.scans.formats import ZARR, stem_of
from scanlearn.scans.geometry import Grid, to_canonical_axes
from scanlearn.scans.scan import (
    Acquisition,
    Problem,
    Scan,
    ScanEntry,
    Units,
    several_volumes,
)
from scanlearn.scans.values import guess_acquisition, smallest_exact, without_gaps

_CHUNK = 128

#: A level with no longer side than this is the coarsest that is written.
_SMALLEST_LEVEL = 256

_NOT_ORIENTED = Problem(
    "no_orientation",
    "note",
    "The file does not state the patient's sides: x was taken to run to the left, "
    "y to the back and z to the head",
    "Look at the scan before sides matter",
)


@dataclass(frozen=True, eq=False)
class _Opened:
    """An image whose metadata are understood and whose voxels are not yet read."""

    path: Path
    image: Image
    array: Any
    grid: Grid
    volumes: int

    @property
    def problems(self) -> list[Problem]:
        """What is odd about it, as far as can be told without its voxels."""
        found = [] if self.image.oriented or self.image.own else [_NOT_ORIENTED]
        there, needed = self.array.nchunks_initialized, self.array.nchunks
        if there < needed:
            text = f"{needed - there} of {needed} chunks are missing: they hold "
            text += f"{self.array.fill_value}"
            action = "Copy the whole folder again if they should be there"
            found.append(Problem("missing_chunks", "warning", text, action))
        return found


def read_ome_zarr(path: Path, *, volume: int | None = None) -> Scan:
    """Read the full resolution of an OME-Zarr image; of several volumes the first.

    Axes of time and channel are counted through as volumes. Voxels are kept exactly.

    Raises
    ------
    BadScan
        The folder is no OME-Zarr image, is damaged or has no such volume.
    """
    opened = _open(path)
    if not 0 <= (volume or 0) < opened.volumes:
        raise BadScan(
            f"{path} has no volume {volume}",
            expected=f"a volume from 0 to {opened.volumes - 1}",
            next_step="Choose one of these volumes",
        )
    problems = opened.problems
    problems += several_volumes(path, opened.grid.shape, opened.volumes, volume)
    try:
        stored = _volume(opened, volume or 0)
    except Exception as error:  # zarr and its codecs raise many kinds
        raise bad_zarr(path, f"its voxels break off ({error})") from error
    voxels, gaps = without_gaps(smallest_exact(stored, 1.0, 0.0), path)
    acquisition, guessed = _acquisition(opened.image, voxels)
    return Scan(
        voxels,
        opened.grid,
        acquisition,
        zarr_stem(path),
        (*problems, *gaps, *guessed),
    )


def ome_zarr_entry(path: Path) -> ScanEntry:
    """Return what the metadata of an OME-Zarr image say of a scan."""
    opened = _open(path)
    several = several_volumes(path, opened.grid.shape, opened.volumes)
    shape: tuple[int, ...] = opened.grid.shape
    stated = _stated(opened.image)
    return ScanEntry(
        path=path,
        kind="zarr",
        files=tuple(sorted(file for file in path.rglob("*") if file.is_file())),
        acquisition=stated or Acquisition(),
        shape=(*shape, opened.volumes) if opened.volumes > 1 else shape,
        spacing_mm=opened.grid.spacing_mm,
        orientation=opened.grid.orientation,
        patient=zarr_stem(path),
        problems=(*opened.problems, *several),
    )


def write_ome_zarr(path: Path, scan: Scan, *, read_back: bool = True) -> None:
    """Write a scan as OME-Zarr (NGFF 0.5), its axes turned to head, back and left.

    No value changes. NGFF keeps spacing and place; an oblique grid goes in whole into
    an attribute of our own, and other readers show it straightened. Coarser levels are
    every second voxel of the one before.

    Parameters
    ----------
    path
        Ends in ``.zarr``; an OME-Zarr image there is replaced.
    scan
        A volume or radiograph; its patient's identity is not written.
    read_back
        Compare every voxel and the geometry before the folder gets its name.

    Raises
    ------
    BadScan
        If the name has another suffix, something else is there, or the image differs
        when it is read again; nothing is left behind.
    """
    path = Path(path)
    if not ZARR.has(path):
        raise BadScan(
            f"{path.name} has no OME-Zarr suffix",
            expected="a name that ends in .ome.zarr or .zarr",
            next_step="Choose another name.",
        )
    if path.exists() and not is_ome_image(path):
        raise BadScan(
            f"{path} is there already and is no OME-Zarr image",
            next_step="Choose another name, or remove it.",
        )
    if not scan.is_radiograph:
        voxels, grid = to_canonical_axes(scan.voxels, scan.grid)
        scan = replace(scan, voxels=voxels, grid=grid)
    with folder_beside(path) as part:
        _write(part, scan)
        if read_back:
            _compare(path, part, scan)


def zarr_stem(path: Path) -> str:
    """Return an image's name without its suffixes; numbered images take the folder's.

    Converters write the images of one file as ``NAME.ome.zarr/0``, ``/1`` and so on.
    """
    stem = stem_of(path)
    inside = stem == path.name and ZARR.has(path.parent)
    return f"{zarr_stem(path.parent)}_{stem}" if inside else stem


def _open(path: Path) -> _Opened:
    import zarr

    try:
        group = zarr.open_group(str(path), mode="r")
        attributes = group.attrs.asdict()
    except Exception as error:  # a damaged store fails in many ways
        raise bad_zarr(path, str(error)) from error
    image = understand(path, attributes)
    try:
        array: Any = group[image.dataset]
        sizes = array.shape
    except (KeyError, AttributeError, ValueError) as error:
        raise bad_zarr(path, f"its array {image.dataset} is missing") from error
    if array.dtype.kind not in "biuf":
        raise bad_zarr(path, "it holds no numbers")
    if not sizes or min(sizes) < 1 or max(image.spatial) >= len(sizes):
        raise bad_zarr(path, f"its array has the shape {sizes}")
    spatial = tuple(int(sizes[n]) for n in image.spatial)
    try:
        grid = image.grid(spatial)
    except ValueError as error:
        raise bad_zarr(path, f"its geometry is unusable ({error})") from error
    refuse_too_large(path, math.prod(spatial) * array.dtype.itemsize)
    return _Opened(path, image, array, grid, math.prod(sizes) // math.prod(spatial))


def _volume(opened: _Opened, volume: int) -> NDArray[np.generic]:
    """Read one volume, and no chunk that belongs to others alone."""
    array, spatial = opened.array, opened.image.spatial
    others = [n for n in range(len(array.shape)) if n not in spatial]
    place = np.unravel_index(volume, [array.shape[n] for n in others]) if others else ()
    index: list[Any] = [slice(None)] * len(array.shape)
    for axis, number in zip(others, place, strict=True):
        index[axis] = int(number)
    stored = np.asarray(array[tuple(index)])
    if stored.dtype.kind == "b":
        stored = stored.astype(np.uint8)
    stored = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("="))
    return stored.reshape(opened.grid.shape)


def _stated(image: Image) -> Acquisition | None:
    """Return modality and units as this program wrote them."""
    units = image.own.get("units")
    if units not in ("HU", "arbitrary"):
        return None
    return Acquisition(
        modality=str(image.own.get("modality", "OT")), units=cast("Units", units)
    )


def _acquisition(
    image: Image, voxels: NDArray[np.generic]
) -> tuple[Acquisition, list[Problem]]:
    stated = _stated(image)
    return guess_acquisition(voxels, description="") if stated is None else (stated, [])


def _write(folder: Path, scan: Scan) -> None:
    import zarr

    level = np.ascontiguousarray(scan.voxels)
    group = zarr.open_group(str(folder), mode="w", zarr_format=3)
    levels: list[tuple[str, tuple[int, ...]]] = []
    by = (1, 1, 1)
    while True:
        name = str(len(levels))
        levels.append((name, by))
        array = group.create_array(
            name,
            shape=level.shape,
            chunks=tuple(min(_CHUNK, n) for n in level.shape),
            dtype=level.dtype,
            dimension_names=("z", "y", "x"),
            # Otherwise a chunk of zeros looks like one that was lost.
            config={"write_empty_chunks": True},
        )
        array[...] = level
        if max(level.shape) <= _SMALLEST_LEVEL:
            break
        step = tuple(2 if n > 1 else 1 for n in level.shape)
        level = np.ascontiguousarray(level[tuple(slice(None, None, n) for n in step)])
        by = (by[0] * step[0], by[1] * step[1], by[2] * step[2])
    group.attrs.update(metadata(scan, levels))


def _compare(path: Path, written: Path, scan: Scan) -> None:
    again = _open(written)
    stored = _volume(again, 0)
    expected = (
        scan.voxels.astype(np.uint8) if scan.voxels.dtype == bool else scan.voxels
    )
    same = stored.shape == expected.shape and np.array_equal(
        stored, expected, equal_nan=expected.dtype.kind == "f"
    )
    if not same or not again.grid.matches(scan.grid):
        raise BadScan(
            f"{path.name} was written, but it differs when it is read again",
            expected="the same voxels and geometry as in memory",
            next_step="Check the disk for space and faults, then save again.",
        )
