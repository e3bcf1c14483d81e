"""DICOM RT-STRUCT contours in, filled on the grid of their scan."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.label_arrays import LabelArray, as_labels

#: Share of a voxel by which the points of one contour may leave their plane.
_PLANAR = 0.25

#: Contours that bound an area; points and open lines do not.
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")

Polygons = dict[tuple[int, int], list[NDArray[np.float64]]]


def read_rtstruct(path: Path, *, like: Grid) -> LabelArray:
    """Fill the closed contours of every region on a grid.

    A voxel is inside where its centre is, by the even-odd rule, so a contour inside
    another one cuts a hole. Regions are numbered 1, 2, … in the order of their ROI
    numbers; where they overlap, the smaller one shows.

    Raises
    ------
    BadLabels
        If there is no closed contour, or contours do not lie in planes of the grid.
    """
    dataset = _open(path)
    masks = [
        (label, _region_mask(contours, like, path.name))
        for label, (_, contours) in enumerate(_regions(dataset), start=1)
    ]
    if not any(mask.any() for _, mask in masks):
        raise BadLabels(
            f"{path.name} has no closed contour that reaches a voxel of the scan",
            expected="closed planar contours drawn on this scan",
            next_step="Check that the contours belong to the scan.",
        )
    labels = np.zeros(like.shape, dtype=np.uint16)
    for label, mask in sorted(masks, key=lambda item: -int(item[1].sum())):
        labels[mask] = label
    return as_labels(labels, path.name)


def read_roi_names(path: Path) -> dict[int, str]:
    """Return the region names by the labels that :func:`read_rtstruct` gives them."""
    regions = _regions(_open(path))
    return {label: name for label, (name, _) in enumerate(regions, start=1)}


def fill_polygons(
    polygons: list[NDArray[np.float64]], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which whole points (row, column) lie inside polygons (n, 2) of such.

    By the even-odd rule over all polygons together.
    """
    # Each edge toggles, in every row that it crosses, all columns right of it.
    toggles = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    for polygon in polygons:
        for (y0, x0), (y1, x1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            first = max(0, int(np.ceil(min(y0, y1))))
            last = min(shape[0], int(np.ceil(max(y0, y1))))
            if first < last:
                rows = np.arange(first, last)
                crossing = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
                columns = np.clip(np.ceil(crossing), 0, shape[1]).astype(int)
                toggles[rows, columns] += 1
    return np.asarray(np.cumsum(toggles, axis=1)[:, : shape[1]] % 2 == 1)


def _open(path: Path) -> Any:
    from pydicom import dcmread

    return dcmread(path)


def _regions(dataset: Any) -> list[tuple[str, list[NDArray[np.float64]]]]:
    """Return name and closed contours (n, 3) in LPS millimetres of each region."""
    contours: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for roi in dataset.get("ROIContourSequence", []):
        for contour in roi.get("ContourSequence", []):
            kind = str(contour.ContourGeometricType)
            points = np.array(contour.ContourData, dtype=np.float64).reshape(-1, 3)
            if kind in _CLOSED and len(points) > 2:
                contours[int(roi.ReferencedROINumber)].append(points)
    names = {
        int(roi.ROINumber): str(roi.get("ROIName", ""))
        for roi in dataset.get("StructureSetROISequence", [])
    }
    numbers = sorted(names.keys() | contours.keys())
    return [(names.get(n, f"ROI {n}"), contours[n]) for n in numbers]


def _region_mask(
    contours: list[NDArray[np.float64]], grid: Grid, name: str
) -> NDArray[np.bool_]:
    mask = np.zeros(grid.shape, dtype=bool)
    for (axis, plane), polygons in _by_plane(contours, grid, name).items():
        if 0 <= plane < grid.shape[axis]:
            slab = np.moveaxis(mask, axis, 0)[plane]
            slab |= fill_polygons(polygons, (slab.shape[0], slab.shape[1]))
    return mask


def _by_plane(contours: list[NDArray[np.float64]], grid: Grid, name: str) -> Polygons:
    """Group contours by the array axis and plane they lie in, as (n, 2) indices."""
    planes: Polygons = defaultdict(list)
    for points in contours:
        index = grid.to_index(points)
        centre = index.mean(axis=0)
        spread = np.abs(index - centre).max(axis=0)
        axis = int(spread.argmin())
        plane = round(float(centre[axis]))
        if spread[axis] > _PLANAR or abs(centre[axis] - plane) > 2 * _PLANAR:
            raise BadLabels(
                f"a contour of {name} does not lie in one plane of the scan",
                expected="contours drawn slice by slice on this very scan",
                next_step="Give the scan that the contours were drawn on.",
            )
        planes[axis, plane].append(np.delete(index, axis, axis=1))
    return planes
