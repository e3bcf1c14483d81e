"""Painting a patient onto a grid: body, lungs, trees and lesions, and their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.phantom.body import BLOOD_HU, paint_body
from scanlearn.phantom.boxes import Axes
from scanlearn.phantom.emphysema import (
    SUBTYPES,
    THIN_HU,
    Emphysema,
    Holes,
    Thinning,
    paint_holes,
)
from scanlearn.phantom.fields import draw_field
from scanlearn.phantom.lesions import Nodule, paint_nodules
from scanlearn.phantom.lungs import LungShape, lobe_map, lung_air, lung_shape
from scanlearn.phantom.patient import Patient
from scanlearn.phantom.shapes import Floats, Place, coverage, paint
from scanlearn.phantom.trees import LUMEN_OF_RADIUS, LungTrees, tree_parts
from scanlearn.scans.geometry import Grid

#: Slices painted at once: enough to vectorise, few enough for the processor's cache.
_SLICES = 6
_AIRWAY_WALL_HU = 20.0
_AIRWAY_HU = -1000.0
_GRAIN_HU = 13.0

Truth = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class LungContents:
    """All that is placed in a patient's lungs, in patient millimetres."""

    trees: LungTrees
    nodules: tuple[Nodule, ...]
    emphysema: Emphysema
    spots: Holes | Thinning | None


def paint_chest(who: Patient, inside: LungContents, grid: Grid) -> tuple[Floats, Truth]:
    """Return the chest in HU, as a perfect scanner would see it, and the label maps."""
    axes = Axes.of(grid)
    edge_mm = float(np.prod(grid.spacing_mm) ** (1 / 3))
    hu = np.empty(grid.shape, np.float32)
    names = ("lungs", "lobes", "nodules", "emphysema")
    truth = {name: np.zeros(grid.shape, np.uint8) for name in names}
    fibres = draw_field(who.generator("fibres"), 7.0, who.origin_mm)
    grain = draw_field(who.generator("grain"), 4.0, who.origin_mm)
    for rows, slab in _slabs(axes):
        place = who.place(slab.x, slab.y[:, None], slab.z[:, None, None], edge_mm)
        shape = lung_shape(who, place)
        uneven = fibres.on_axes(slab.z, slab.y, slab.x)
        hu[rows] = paint_body(who, place, shape, uneven)
        air = lung_air(who, place, _GRAIN_HU * grain.on_axes(slab.z, slab.y, slab.x))
        _label_lungs(place, shape, truth, rows)
        if isinstance(inside.spots, Thinning):
            _thin(air, inside.spots.height(slab, place.z), truth, rows)
        paint(hu[rows], coverage(shape.lungs, edge_mm), air)
    _paint_contents(hu, inside, grid, truth, edge_mm)
    return hu, truth


def _slabs(axes: Axes) -> Iterator[tuple[slice, Axes]]:
    for first in range(0, len(axes.z), _SLICES):
        rows = slice(first, first + _SLICES)
        yield rows, Axes(axes.z[rows], axes.y, axes.x)


def _label_lungs(place: Place, shape: LungShape, truth: Truth, rows: slice) -> None:
    inside = shape.lungs < 0
    truth["lungs"][rows] = np.where(place.x < 0, 1, 2) * inside
    truth["lobes"][rows] = lobe_map(place) * inside


def _thin(air: Floats, height: Floats, truth: Truth, rows: slice) -> None:
    """Thin the lung out where panlobular emphysema is."""
    paint(air, np.clip(np.float32(0.5) + height * np.float32(4), 0, 1), THIN_HU)
    found = (height > 0) & (truth["lungs"][rows] > 0)
    truth["emphysema"][rows] = SUBTYPES["panlobular"] * found


def _paint_contents(
    hu: Floats, inside: LungContents, grid: Grid, truth: Truth, edge_mm: float
) -> None:
    axes = Axes.of(grid)
    if isinstance(inside.spots, Holes):
        found = paint_holes(hu, axes, inside.spots, truth["lungs"], edge_mm=edge_mm)
        truth["emphysema"][found] = SUBTYPES[inside.emphysema.subtype]
    paint(hu, tree_parts(inside.trees.vessels, grid, edge_mm=edge_mm), BLOOD_HU)
    for value, shrink in ((_AIRWAY_WALL_HU, 1.0), (_AIRWAY_HU, LUMEN_OF_RADIUS)):
        trees = inside.trees
        part = tree_parts(trees.airways, grid, edge_mm=edge_mm, shrink=shrink)
        part *= truth["lungs"] > 0
        outer = tree_parts(
            trees.airways_outside(), grid, edge_mm=edge_mm, shrink=shrink
        )
        paint(hu, np.maximum(part, outer), value)
    truth["nodules"] = paint_nodules(hu, axes, inside.nodules, edge_mm=edge_mm)
