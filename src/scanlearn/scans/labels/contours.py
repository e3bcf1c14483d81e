"""Closed contours of one plane, filled on its pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]

#: A contour whose points leave another one by less than this, in pixels, is inside it.
_TOUCHING = 0.02

#: Contours that stay this close to each other, in pixels, are one drawn twice.
_COPY = 0.25


def fill_contours(
    polygons: Sequence[Polygon], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which whole points (row, column) the contours of one region cover.

    Contours are united. One that lies wholly inside another is a hole in it, one inside
    the hole an island; one drawn twice counts once. A single contour is filled by the
    even-odd rule, so that a hole joined to the outline by a keyhole stays a hole.

    Parameters
    ----------
    polygons
        Arrays (n, 2) of rows and columns.
    shape
        Rows and columns.
    """
    mask = np.zeros(shape, dtype=bool)
    for depth, polygon in sorted(_depths(polygons), key=lambda item: item[0]):
        filled = fill_polygons([polygon], shape)
        mask = mask & ~filled if depth % 2 else mask | filled
    return mask


def fill_polygons(
    polygons: Sequence[Polygon], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which whole points (row, column) lie inside polygons (n, 2) of such.

    By the even-odd rule over all polygons together.
    """
    # Each edge toggles, in every row that it crosses, all columns right of it.
    toggles = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    for polygon in polygons:
        (y0, x0), (y1, x1) = polygon.T, np.roll(polygon, -1, axis=0).T
        first = np.clip(np.ceil(np.minimum(y0, y1)), 0, shape[0]).astype(int)
        last = np.clip(np.ceil(np.maximum(y0, y1)), 0, shape[0]).astype(int)
        count = last - first
        edge = np.repeat(np.arange(len(polygon)), count)
        rows = first[edge] + np.arange(len(edge)) - (np.cumsum(count) - count)[edge]
        slope = (x1 - x0)[edge] / (y1 - y0)[edge]
        crossing = x0[edge] + (rows - y0[edge]) * slope
        columns = np.clip(np.ceil(crossing), 0, shape[1]).astype(int)
        np.add.at(toggles, (rows, columns), 1)
    return np.asarray(np.cumsum(toggles, axis=1)[:, : shape[1]] % 2 == 1)


def _depths(polygons: Sequence[Polygon]) -> list[tuple[int, Polygon]]:
    """Return each contour, copies left out, and how many lie around one another it."""
    kept: list[tuple[int, Polygon]] = []
    for polygon in sorted(polygons, key=_area, reverse=True):
        around = [(depth, other) for depth, other in kept if _contains(other, polygon)]
        if any(_is_copy(other, polygon) for _, other in around):
            continue
        kept.append((1 + max((depth for depth, _ in around), default=-1), polygon))
    return kept


def _area(polygon: Polygon) -> float:
    y, x = (polygon - polygon[0]).T
    return float(abs(np.dot(y, np.roll(x, -1)) - np.dot(x, np.roll(y, -1)))) / 2


def _contains(outer: Polygon, inner: Polygon) -> bool:
    """Whether a contour lies inside another one, or touches it from inside."""
    low, high = outer.min(axis=0) - _TOUCHING, outer.max(axis=0) + _TOUCHING
    if (inner < low).any() or (inner > high).any():
        return False
    points = _with_middles(inner)
    outside = points[~_inside(outer, points)]
    return not len(outside) or bool(_distance(outer, outside).max() <= _TOUCHING)


def _is_copy(outer: Polygon, inner: Polygon) -> bool:
    return all(
        _distance(one, _with_middles(other)).max() <= _COPY
        for one, other in ((outer, inner), (inner, outer))
    )


def _with_middles(polygon: Polygon) -> Polygon:
    """Return the corners and the middles of the edges: an edge may leave a bay."""
    return np.concatenate([polygon, (polygon + np.roll(polygon, -1, axis=0)) / 2])


def _inside(polygon: Polygon, points: Polygon) -> NDArray[np.bool_]:
    """Tell by the even-odd rule which points (m, 2) are inside a polygon (n, 2)."""
    inside = np.zeros(len(points), dtype=bool)
    y, x = points.T
    for (y0, x0), (y1, x1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        if y0 != y1:
            crosses = (y0 <= y) != (y1 <= y)
            inside ^= crosses & (x0 + (y - y0) * (x1 - x0) / (y1 - y0) < x)
    return inside


def _distance(polygon: Polygon, points: Polygon) -> NDArray[np.float64]:
    """Return how far points (m, 2) are from the outline of a polygon (n, 2)."""
    nearest = np.full(len(points), np.inf)
    for start, end in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        edge = end - start
        length = float(edge @ edge)
        along = (points - start) @ edge / length if length else np.zeros(len(points))
        foot = start + np.clip(along, 0, 1)[:, None] * edge
        nearest = np.minimum(nearest, np.linalg.norm(points - foot, axis=1))
    return nearest
