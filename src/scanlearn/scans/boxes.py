"""Boxes on radiographs: in pixels as tables have them, in millimetres inside.

An array of boxes is (n, 4): x and y of the corner nearest the first pixel, width and
height; x runs along the columns of the image, y along its rows. In pixels the middles
of pixels are whole numbers, as napari has them: a box around the very first pixel is
``(-0.5, -0.5, 1, 1)``.

In millimetres boxes lie in the plane of the image, counted from the patient's origin:
the same on the source's pixels and on those of a cohort that made the image smaller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.geometry import Grid
from scanlearn.scans.suppression import greedily

Boxes = NDArray[np.float64]

#: Of two boxes that share more than this (intersection over union) the better stays.
OVERLAP_KEPT = 0.3


def as_boxes(rows: object) -> Boxes:
    """Return rows as an (n, 4) array; no rows give (0, 4)."""
    return np.asarray(rows, dtype=np.float64).reshape(-1, 4)


def box_centres(boxes: Boxes) -> NDArray[np.float64]:
    """Return the middles (n, 2) as x, y."""
    return np.asarray(boxes[:, :2] + boxes[:, 2:] / 2)


def to_plane(pixels: Boxes, grid: Grid) -> Boxes:
    """Map boxes in pixels of an image (1, rows, columns) to its plane's millimetres."""
    corner, step = _first_pixel(grid)
    return np.hstack([pixels[:, :2] * step + corner, pixels[:, 2:] * step])


def to_pixels(plane: Boxes, grid: Grid) -> Boxes:
    """Map boxes in millimetres to pixels of an image; undoes :func:`to_plane`."""
    corner, step = _first_pixel(grid)
    return np.hstack([(plane[:, :2] - corner) / step, plane[:, 2:] / step])


def _first_pixel(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the middle of pixel (0, 0) lies in the plane, and a pixel's size."""
    rows, columns = grid.directions[:, 1], grid.directions[:, 2]
    origin = grid.affine[:3, 3]
    _, height, width = grid.spacing_mm
    return np.array([origin @ columns, origin @ rows]), np.array([width, height])


def box_iou(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """Return the (n, m) intersection over union of areas."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    ends = one[:, :2] + one[:, 2:], other[:, :2] + other[:, 2:]
    high = np.minimum(ends[0][:, None], ends[1][None])
    shared = np.maximum(high - low, 0.0).prod(axis=2)
    areas = one[:, 2:].prod(axis=1)[:, None] + other[:, 2:].prod(axis=1)
    return np.asarray(shared / (areas - shared))


def keep_best_boxes(boxes: Boxes, scores: NDArray[np.floating]) -> NDArray[np.int_]:
    """Return which findings stay, best first: none overlaps a better one much.

    Greedy non-maximum suppression by intersection over union.
    """
    return greedily(box_iou(boxes, boxes) > OVERLAP_KEPT, scores)


def paint_boxes(pixels: Boxes, grid: Grid) -> NDArray[np.uint16]:
    """Return a label map of boxes in pixels of an image: the n-th has the value n.

    A pixel belongs to the box its middle lies in, of several to the first.
    """
    labels = np.zeros(grid.shape, dtype=np.uint16)
    columns, rows = np.arange(grid.shape[2]), np.arange(grid.shape[1])
    for value, (x, y, width, height) in reversed([*enumerate(pixels.tolist(), 1)]):
        across = (columns >= x) & (columns <= x + width)
        down = (rows >= y) & (rows <= y + height)
        labels[0][np.ix_(down, across)] = value
    return labels
