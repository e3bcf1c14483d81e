"""The labels of one scan, from one file or from a file an organ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scanlearn.cohort.labels.label_matching import LabelFile
from scanlearn.cohort.labels.names import scan_stem_of
from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.label_arrays import (
    GridMismatch,
    LabelMap,
    as_labels,
    values_in,
)
from scanlearn.scans.labels.label_regions import Region, lay_regions, region_of
from scanlearn.scans.labels.read_labels import read_named_labels


def read_labels_of(file: LabelFile, *, grids: Sequence[Grid]) -> LabelMap:
    """Read the labels of a scan, on the first of some grids that they lie on.

    Parameters
    ----------
    file
        One map, or a file an organ; each of those is a class of the file's name.
    grids
        Of the scan's source, and of the cohort.

    Raises
    ------
    BadLabels
        If the values are no labels, or lie on none of the grids.
    """
    first: GridMismatch | None = None
    for grid in grids:
        try:
            if file.organs:
                return _joined(file.organs, grid)
            return read_named_labels(file.path, like=grid)
        except GridMismatch as mismatch:
            first = first or mismatch
    assert first is not None
    raise first


def _joined(organs: Sequence[Path], grid: Grid) -> LabelMap:
    """Join masks of one class each; a single map may hold all classes."""
    if len(organs) == 1:
        alone = read_named_labels(organs[0], like=grid)
        if alone.names or len(values_in(alone.labels)) > 2:
            return alone
    names = {n: scan_stem_of(path) for n, path in enumerate(organs, start=1)}
    regions = [_organ(n, path, grid) for n, path in enumerate(organs, start=1)]
    _check_different(organs, regions)
    laid = lay_regions(regions, grid.shape, names)
    labels = as_labels(laid.labels, organs[0].parent.name)
    return LabelMap(labels, grid, laid.names, laid.notes)


def _check_different(organs: Sequence[Path], regions: Sequence[Region | None]) -> None:
    """Refuse two organs of the same voxels: a voxel has one class only."""
    seen: dict[tuple[object, bytes], Path] = {}
    for path, region in zip(organs, regions, strict=True):
        if region is None:
            continue
        where = tuple((one.start, one.stop) for one in region.box)
        other = seen.setdefault((where, region.mask.tobytes()), path)
        if other != path:
            raise BadLabels(
                f"{path.name} and {other.name} of {path.parent.name} hold the very "
                "same voxels",
                expected="a mask for each class, of its own voxels",
                next_step="Take one of them away, or join the masks into one label map "
                "with a value for each class.",
            )


def _organ(number: int, path: Path, grid: Grid) -> Region | None:
    labels = read_named_labels(path, like=grid).labels
    values = [value for value in values_in(labels) if value]
    if len(values) > 1:
        raise BadLabels(
            f"{path} holds the values {values[:8]}, though it is one of several masks "
            "in a folder of its scan's name",
            expected="one file an organ, each with one value above 0",
            next_step="Leave one label map with all classes there, or a file a class.",
        )
    return region_of(number, labels > 0)
