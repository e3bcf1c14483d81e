"""Bones: spine, ribs with cartilage, breast bone, collar bones, shoulder blades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scanlearn.phantom.lungs import cavity_front
from scanlearn.phantom.mediastinum import SPINE
from scanlearn.phantom.shapes import (
    Floats,
    Place,
    Tube,
    coverage,
    ellipse,
    paint,
    profile,
    tubes,
)

CORTEX_HU = 480.0
MARROW_HU = 190.0
_CARTILAGE_HU = 110.0
_DISC_HU = 85.0
_RIB_PITCH_MM = 24.5
_VERTEBRA_MM = 23.5

_COLLAR_BONES = tuple(
    Tube((side * 14, -58, 112), (side * 150, 8, 136), 7, 6) for side in (-1, 1)
)


@dataclass(frozen=True, eq=False)
class _Columns:
    """The part of a slab between two columns, and the image behind it."""

    place: Place
    hu: Floats
    cavity: Floats


def paint_bones(hu: Floats, place: Place, cavity: Floats) -> None:
    """Paint all bones into a slab, given the distance to the chest cavity's wall."""
    _paint_ribs(hu, place, cavity)
    _paint_bone(hu, tubes(place, _COLLAR_BONES), place.edge_mm, wall_mm=2)
    _paint_bone(hu, _shoulder_blades(place, cavity), place.edge_mm, wall_mm=1.5)
    columns = _middle_columns(hu, place, cavity, reach_mm=40)
    _paint_breast_bone(columns)
    _paint_spine(columns)


def _middle_columns(
    hu: Floats, place: Place, cavity: Floats, *, reach_mm: float
) -> _Columns:
    """Return the columns near the midline: most bones need no others."""
    near = np.flatnonzero((np.abs(place.x) < reach_mm).any(axis=(0, 1)))
    if not len(near):
        near = np.array([0])
    part = slice(int(near[0]), int(near[-1]) + 1)
    thin = Place(place.x[..., part], place.y[..., part], place.z, place.edge_mm)
    return _Columns(thin, hu[..., part], cavity[..., part])


def _paint_bone(hu: Floats, distance: Floats, edge_mm: float, wall_mm: float) -> None:
    paint(hu, coverage(distance, edge_mm), CORTEX_HU)
    paint(hu, coverage(distance + np.float32(wall_mm), edge_mm), MARROW_HU)


def _paint_ribs(hu: Floats, place: Place, cavity: Floats) -> None:
    front = cavity_front(place)
    # Ribs slope down to the front; their cartilage rises again to the breast bone.
    height = place.z + np.float32(32) * (front + 1)
    height -= np.float32(70) * np.maximum(front - np.float32(0.7), 0)
    number = np.clip(np.round(height / _RIB_PITCH_MM - 0.2), -5, 5)
    off = (height - (number + np.float32(0.2)) * _RIB_PITCH_MM) * np.float32(0.9)
    distance = ellipse(np.asarray(off, np.float32), cavity - np.float32(7), 6.5, 3.8)
    outer = np.where(front > 0.72, np.float32(_CARTILAGE_HU), np.float32(CORTEX_HU))
    inner = np.where(front > 0.72, np.float32(_CARTILAGE_HU), np.float32(MARROW_HU))
    paint(hu, coverage(distance, place.edge_mm), outer)
    paint(hu, coverage(distance + np.float32(1.6), place.edge_mm), inner)


def _shoulder_blades(place: Place, cavity: Floats) -> Floats:
    """Return the distance to two thin plates behind the upper ribs."""
    plate = np.abs(cavity - np.float32(21)) - np.float32(3)
    half = profile(place.z, ((0, 4), (20, 16), (70, 32), (105, 34), (125, 10)))
    plate = np.maximum(plate, np.abs(np.abs(place.x) - np.float32(98)) - half)
    plate = np.maximum(plate, np.abs(place.z - np.float32(60)) - np.float32(62))
    return np.asarray(np.maximum(plate, np.float32(18) - place.y), np.float32)


def _paint_breast_bone(columns: _Columns) -> None:
    place = columns.place
    half = profile(place.z, ((-70, 6), (-40, 12), (45, 14), (70, 28), (95, 26)))
    plate = np.maximum(np.abs(place.x) - half, np.abs(columns.cavity - 8) - 5)
    plate = np.maximum(plate, np.abs(place.z - np.float32(13)) - np.float32(80))
    _paint_bone(
        columns.hu, np.maximum(plate, place.y), columns.place.edge_mm, wall_mm=1.8
    )


def _paint_spine(columns: _Columns) -> None:
    place, hu, edge = columns.place, columns.hu, columns.place.edge_mm
    back = place.y - profile(place.z, SPINE)
    in_vertebra = place.z - _VERTEBRA_MM * np.round(place.z / _VERTEBRA_MM)
    in_vertebra = in_vertebra.astype(np.float32)
    body = ellipse(place.x, back, 17, 14)
    paint(hu, coverage(body, edge), _DISC_HU)
    plates = np.abs(in_vertebra) - np.float32(9)
    _paint_bone(hu, np.maximum(body, plates), edge, wall_mm=1.6)
    arch = ellipse(place.x, back - np.float32(22), 15, 13)
    arch = np.maximum(arch, np.abs(in_vertebra) - np.float32(8))
    wings = np.maximum(
        np.abs(back - np.float32(22) + np.abs(place.x) * np.float32(-0.25)) - 5,
        np.maximum(np.abs(place.x) - 33, np.abs(in_vertebra) - 5),
    )
    tip = np.abs(in_vertebra + (back - 30) * np.float32(0.35)) - 5
    tip = np.maximum(tip, np.maximum(np.abs(place.x) - 3.5, np.abs(back - 38) - 12))
    _paint_bone(hu, np.minimum(np.minimum(arch, wings), tip), edge, wall_mm=2)
    paint(hu, coverage(ellipse(place.x, back - np.float32(21), 9, 8), edge), 25.0)
