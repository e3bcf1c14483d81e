"""DICOM segmentations in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadLabels
from scanlearn.scans.dicom.inflated import refuse_inflation
from scanlearn.scans.dicom.planes import Planes, planes_of
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.label_arrays import LabelMap, Note, as_labels, grid_mismatch
from scanlearn.scans.labels.label_regions import (
    LaidRegions,
    Region,
    lay_regions,
    region_of,
)
from scanlearn.scans.labels.seg_frames import read_frames
from scanlearn.scans.labels.segments import read_names
from scanlearn.scans.turns import SAME_VOXEL, Turn

_OUTSIDE = "labelled voxels outside the scan were left out"


def read_dicom_seg(path: Path, *, like: Grid | None = None) -> LabelMap:
    """Read a binary or label-map segmentation.

    A label is its segment's number. Where segments overlap, the smaller one shows, so
    that a nodule is not lost in its lung.

    Parameters
    ----------
    path
        The file.
    like
        Grid of the scan; frames may cover a part of it. Without it, the grid reaches
        from the first to the last plane in the file, which may leave empty planes of
        the scan out.

    Raises
    ------
    BadLabels
        If its pixels are not as many as its frames need, it holds fractions, or does
        not lie on ``like``.
    """
    dataset = _open(path, pixels=True)
    try:
        planes = planes_of([dataset])
        pixels, notes = read_frames(dataset, planes.shape, path.name)
    except (AttributeError, KeyError, IndexError, ValueError, EOFError) as error:
        raise BadLabels(
            f"{path.name} cannot be read as a segmentation: {error}",
            expected="a complete DICOM-SEG file",
            next_step="Export it again.",
        ) from error
    if len(pixels) != len(planes.positions):
        raise BadLabels(
            f"{path.name} has {len(pixels)} frames, but says where "
            f"{len(planes.positions)} are",
            expected="a place for every frame",
            next_step="Export it again.",
        )
    own = planes.grid()
    if like is None and own is None:
        raise BadLabels(
            f"the planes of {path.name} lie at uneven distances",
            expected="evenly spaced planes, or the scan they belong to",
            next_step="Give the scan together with its segmentation.",
        )
    target = own if like is None else like
    assert target is not None
    turn = _turn_to_frames(planes, target)
    frames_grid = target if turn is None else turn.grid(target)
    places = None if turn is None else _places(planes, frames_grid)
    if turn is None or places is None:
        raise grid_mismatch(path.name, own or target, target)
    laid = _assemble(dataset, pixels, places, frames_grid.shape)
    turned = np.ascontiguousarray(_turned_back(laid.labels, turn))
    return LabelMap(
        as_labels(turned, path.name), target, laid.names, (*notes, *laid.notes)
    )


def read_segment_names(path: Path) -> dict[int, str]:
    """Return segment numbers and labels, without the background of label maps."""
    return read_names(_open(path, pixels=False))


def _open(path: Path, *, pixels: bool) -> Any:
    from pydicom import dcmread

    refuse_inflation(path)
    return dcmread(path, stop_before_pixels=not pixels)


def _turn_to_frames(planes: Planes, target: Grid) -> Turn | None:
    """Return the turn of a grid to the (planes, rows, columns) of the frames.

    Rows and columns decide: across a tilted stack the normal is no axis of the grid.
    """
    steps = np.column_stack([planes.row_step, planes.column_step])
    steps = np.linalg.inv(target.affine[:3, :3]) @ steps
    row, column = (int(axis) for axis in np.abs(steps).argmax(axis=0))
    if row == column:
        return None
    flips = tuple(k + 1 for k, axis in enumerate((row, column)) if steps[axis, k] < 0)
    return Turn((3 - row - column, row, column), flips)


def _turned_back(labels: NDArray[Any], turn: Turn) -> NDArray[Any]:
    """Undo a turn."""
    back = (0, 1, 2)
    inverse = tuple(turn.axes.index(axis) for axis in back)
    return np.flip(labels, axis=turn.flips).transpose(inverse)


def _places(planes: Planes, grid: Grid) -> NDArray[np.intp] | None:
    """Return (n, 3) where each frame starts in a grid; None if off its voxels."""
    starts = np.rint(grid.to_index(planes.positions)).astype(int)
    off = np.linalg.norm(grid.to_patient(starts) - planes.positions, axis=1)
    steps = np.stack([planes.row_step, planes.column_step], axis=1)
    # A wrong in-plane step shows most at the last pixel.
    drift = np.abs((grid.affine[:3, 1:3] - steps) * (np.array(planes.shape) - 1)).sum()
    if max(off.max(), drift) > SAME_VOXEL * min(grid.spacing_mm):
        return None
    ends = starts + np.array([1, *planes.shape])
    meets = ((ends > 0) & (starts < grid.shape)).all(axis=1)
    return starts if meets.any() else None


def _assemble(
    dataset: Any,
    pixels: NDArray[Any],
    places: NDArray[np.intp],
    shape: tuple[int, int, int],
) -> LaidRegions:
    outside, names = 0, read_names(dataset)
    if dataset.SegmentationType == "LABELMAP":
        labels = np.zeros(shape, dtype=pixels.dtype)
        for frame, start in zip(pixels, places, strict=True):
            outside += _put(frame, start, labels)
        return LaidRegions(labels, names, _notes(outside))
    numbers = _segment_of_frames(dataset)
    regions: list[Region | None] = []
    for number in np.unique(numbers).tolist():
        mask = np.zeros(shape, dtype=bool)
        for frame in np.flatnonzero(numbers == number):
            outside += _put(pixels[frame] > 0, places[frame], mask)
        regions.append(region_of(number, mask))
    laid = lay_regions(regions, shape, names)
    return replace(laid, notes=(*_notes(outside), *laid.notes))


def _put(frame: NDArray[Any], start: NDArray[np.intp], labels: NDArray[Any]) -> int:
    """Lay a frame into its plane; returns how many labelled voxels lie outside."""
    labelled = int(np.count_nonzero(frame))
    low = np.maximum(start, 0)
    high = np.minimum(start + np.array([1, *frame.shape]), labels.shape)
    if (low >= high).any():
        return labelled
    there = labels[low[0], low[1] : high[1], low[2] : high[2]]
    row, column = low[1:] - start[1:]
    part = frame[row : row + there.shape[0], column : column + there.shape[1]]
    np.maximum(there, part, out=there)
    return labelled - int(np.count_nonzero(part))


def _notes(outside: int) -> tuple[Note, ...]:
    return (Note(_OUTSIDE, f"{outside} voxels"),) if outside else ()


def _segment_of_frames(dataset: Any) -> NDArray[np.int64]:
    name = "SegmentIdentificationSequence"
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    numbers = [
        int((own[name][0] if name in own else shared[name][0]).ReferencedSegmentNumber)
        for own in dataset.PerFrameFunctionalGroupsSequence
    ]
    return np.array(numbers)
