"""Segmentations of 3D Slicer (``.seg.nrrd``): segments with names, in layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadLabels
from scanlearn.scans.files.itk import checked_header
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.label_arrays import LabelMap, Note, as_labels, place_onto
from scanlearn.scans.labels.label_regions import lay_regions, region_of

_KEY = re.compile(r"Segment(\d+)_(?:ID|Name|LabelValue)")

_OUTSIDE = "labelled voxels outside the scan were left out"
_UNNAMED = "values that no segment has were left out"


@dataclass(frozen=True)
class Segment:
    """A segment: its name, and the value and layer that hold it."""

    name: str
    value: int
    layer: int


def read_segments(path: Path) -> list[Segment]:
    """Return the segments that an NRRD header describes; empty for other NRRDs."""
    return _segments(_header(path))


def count_channels(path: Path) -> int:
    """Return how many values an NRRD or MetaImage file holds in every voxel."""
    return int(_header(path).GetNumberOfComponents())


def segment_labels(segments: list[Segment]) -> dict[int, str]:
    """Return names by label: the segments' own values, or 1, 2, … if some share one."""
    values = [segment.value for segment in segments]
    if len(set(values)) < len(values):
        values = list(range(1, len(values) + 1))
    return dict(zip(values, (segment.name for segment in segments), strict=True))


def read_seg_nrrd(path: Path, *, like: Grid | None = None) -> LabelMap:
    """Read a segmentation, at its own place in the scan if that is given.

    Where segments overlap, the smaller one shows. It may cover a part of the scan only,
    as Slicer saves it to spare room.

    Raises
    ------
    BadLabels
        If its voxels are none of the scan's.
    """
    reader = _header(path)
    segments = _segments(reader)
    image = reader.Execute()
    grid = _grid(image)
    layers = _layers(image, grid.shape, path)
    names = segment_labels(segments)
    regions, known = [], np.zeros(grid.shape, dtype=bool)
    for label, segment in zip(names, segments, strict=True):
        # A single layer holds all segments, whatever their number.
        layer = layers[segment.layer if len(layers) > 1 else 0]
        mask = np.asarray(layer == segment.value)
        known |= mask
        regions.append(region_of(label, mask))
    laid = lay_regions(regions, grid.shape, names)
    kept, notes = as_labels(laid.labels, path.name), laid.notes
    unnamed = int(np.count_nonzero((layers != 0).any(axis=0) & ~known))
    if unnamed:
        notes = (*notes, Note(_UNNAMED, f"{unnamed} voxels"))
    if like is None:
        return LabelMap(kept, grid, laid.names, notes)
    placed, outside = place_onto(kept, grid, like, name=path.name)
    if outside:
        notes = (*notes, Note(_OUTSIDE, f"{outside} voxels"))
    return LabelMap(placed, like, laid.names, notes)


def _header(path: Path) -> Any:
    import SimpleITK

    checked_header(path)
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _segments(reader: Any) -> list[Segment]:
    facts = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    found = [match for key in facts if (match := _KEY.fullmatch(key))]
    return [_segment(facts, n) for n in sorted({int(match[1]) for match in found})]


def _segment(facts: Mapping[str, str], number: int) -> Segment:
    # Before layers were shared, every segment was a layer of its own, of ones.
    name = facts.get(f"Segment{number}_Name", "").strip()
    return Segment(
        name or f"segment {number + 1}",
        int(facts.get(f"Segment{number}_LabelValue", "1")),
        int(facts.get(f"Segment{number}_Layer", str(number))),
    )


def _grid(image: Any) -> Grid:
    """Return the grid in array order (z, y, x)."""
    if image.GetDimension() != 3:
        raise BadLabels(
            f"the segmentation has {image.GetDimension()} dimensions",
            expected="three, and layers where segments overlap",
            next_step="Save it again in 3D Slicer.",
        )
    matrix = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine = np.eye(4)
    affine[:3, :3] = matrix[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    x, y, z = image.GetSize()
    return Grid((z, y, x), affine)


def _layers(image: Any, shape: tuple[int, int, int], path: Path) -> NDArray[Any]:
    """Return whole numbers (layers, z, y, x)."""
    import SimpleITK

    values = SimpleITK.GetArrayFromImage(image).reshape(*shape, -1)
    return np.moveaxis(as_labels(values, path.name), -1, 0)
