"""DICOM segmentations in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.label_arrays import (
    LabelArray,
    as_labels,
    grid_mismatch,
    lay_onto,
)
from scanlearn.scans.planes import Planes, planes_of
from scanlearn.scans.turns import Turn


def read_dicom_seg(path: Path, *, like: Grid | None = None) -> tuple[LabelArray, Grid]:
    """Read a binary or label-map segmentation.

    A label is its segment's number. Where segments overlap, the smaller one shows, so
    that a nodule is not lost in its lung.

    Parameters
    ----------
    path
        The file.
    like
        Grid of the scan. Without it, the grid reaches from the first to the last plane
        in the file, which may leave empty planes of the scan out.

    Raises
    ------
    BadLabels
        If the file is truncated, holds fractions, or does not lie on ``like``.
    """
    dataset = _open(path, pixels=True)
    if dataset.SegmentationType == "FRACTIONAL":
        raise BadLabels(
            f"{path.name} holds fractions (probabilities), not labels",
            expected="a binary segmentation or a label map",
            next_step="Export it as a binary segmentation.",
        )
    try:
        planes = planes_of([dataset])
        pixels = _pixels(dataset).reshape(-1, *planes.shape)
    except (AttributeError, KeyError, ValueError, EOFError) as error:
        raise BadLabels(
            f"{path.name} cannot be read as a segmentation: {error}",
            expected="a complete DICOM-SEG file",
            next_step="Export it again.",
        ) from error
    grid = planes.grid() if like is None else _layout(planes, like)
    if grid is None:
        raise BadLabels(
            f"the planes of {path.name} lie at uneven distances",
            expected="evenly spaced planes, or the scan they belong to",
            next_step="Give the scan together with its segmentation.",
        )
    numbers = planes.plane_numbers(grid)
    if numbers is None:
        raise grid_mismatch(path.name, planes.grid() or grid, like or grid)
    labels = as_labels(_assemble(dataset, pixels, numbers, grid.shape), path.name)
    if like is None:
        return labels, grid
    return lay_onto(labels, grid, like, name=path.name), like


def read_segment_names(path: Path) -> dict[int, str]:
    """Return segment numbers and labels, without the background of label maps."""
    segments = _open(path, pixels=False).SegmentSequence
    names = {int(item.SegmentNumber): str(item.SegmentLabel) for item in segments}
    return {number: name for number, name in names.items() if number > 0}


def _open(path: Path, *, pixels: bool) -> Any:
    from pydicom import dcmread

    return dcmread(path, stop_before_pixels=not pixels)


def _pixels(dataset: Any) -> NDArray[Any]:
    """Return the pixels of all frames, one after the other."""
    if dataset.BitsAllocated > 1 or dataset.file_meta.TransferSyntaxUID.is_compressed:
        return np.asarray(dataset.pixel_array)
    # pydicom misplaces packed frames that do not fill whole bytes.
    count = int(dataset.NumberOfFrames) * dataset.Rows * dataset.Columns
    packed = np.frombuffer(dataset.PixelData, dtype=np.uint8)
    if len(packed) * 8 < count:
        raise ValueError(f"{len(packed)} bytes do not hold {count} pixels")
    return np.unpackbits(packed, count=count, bitorder="little")


def _layout(planes: Planes, like: Grid) -> Grid:
    """Return the scan's grid turned to (planes, rows, columns) of the frames."""
    steps = np.column_stack([planes.row_step, planes.column_step])
    steps = np.linalg.inv(like.affine[:3, :3]) @ steps
    row, column = (int(axis) for axis in np.abs(steps).argmax(axis=0))
    if row == column:
        # Nothing fits; the caller's comparison of planes reports the mismatch.
        return like
    flips = tuple(k + 1 for k, axis in enumerate((row, column)) if steps[axis, k] < 0)
    return Turn((3 - row - column, row, column), flips).grid(like)


def _assemble(
    dataset: Any,
    pixels: NDArray[Any],
    numbers: NDArray[np.intp],
    shape: tuple[int, int, int],
) -> NDArray[Any]:
    if dataset.SegmentationType == "LABELMAP":
        labels = np.zeros(shape, dtype=pixels.dtype)
        labels[numbers] = pixels
        return labels
    segments = _segment_of_frames(dataset)
    labels = np.zeros(shape, dtype=np.uint16)
    sizes = {s: int(pixels[segments == s].sum()) for s in np.unique(segments).tolist()}
    for segment in sorted(sizes, key=lambda s: -sizes[s]):
        for frame in np.flatnonzero(segments == segment):
            labels[numbers[frame]][pixels[frame] > 0] = segment
    return labels


def _segment_of_frames(dataset: Any) -> NDArray[np.int64]:
    name = "SegmentIdentificationSequence"
    shared = dataset.SharedFunctionalGroupsSequence[0]
    numbers = [
        int((own[name][0] if name in own else shared[name][0]).ReferencedSegmentNumber)
        for own in dataset.PerFrameFunctionalGroupsSequence
    ]
    return np.array(numbers)
