"""The body around the lungs: skin, fat, muscle, the organs below, and the table."""

from __future__ import annotations

import numpy as np

from scanlearn.phantom.lungs import LungShape
from scanlearn.phantom.mediastinum import great_vessels, gullet, heart
from scanlearn.phantom.patient import Patient
from scanlearn.phantom.shapes import (
    Floats,
    Place,
    Tube,
    coverage,
    ellipsoid,
    oval,
    paint,
    profile,
    smooth_min,
    tubes,
)
from scanlearn.phantom.skeleton import paint_bones

AIR_HU = -1000.0
FAT_HU = -98.0
MUSCLE_HU = 52.0
BLOOD_HU = 42.0
_SKIN_HU = 15.0
_LIVER_HU = 58.0
_SPLEEN_HU = 48.0
_TABLE_HU = -250.0

_HALF = ((-160, 150), (-60, 152), (20, 153), (70, 158), (110, 165), (140, 162))
_DEPTH = ((-160, 113), (-60, 116), (20, 113), (70, 107), (110, 96), (140, 82))
_CENTRE = ((-160, 8), (-60, 8), (20, 8), (70, 11), (110, 18), (140, 25))
_ARMS = tuple(
    Tube((side * 205, 20, -180), (side * 190, 20, 110), 36, 46) for side in (-1, 1)
)
_ARM_BONES = tuple(
    Tube((side * 205, 20, -180), (side * 190, 20, 110), 10, 12) for side in (-1, 1)
)
_ARMPITS = tuple(
    Tube((side * 122, 24, 45), (side * 138, 20, 98), 8, 19) for side in (-1, 1)
)


def skin(patient: Patient, place: Place) -> Floats:
    """Return the distance to the skin."""
    fat = np.float32(patient.fat_mm)
    trunk = oval(
        place.x,
        place.y - profile(place.z, _CENTRE),
        profile(place.z, _HALF) + fat,
        profile(place.z, _DEPTH) + fat * np.float32(0.7),
    )
    return smooth_min(trunk, tubes(place, _ARMS), 8) if patient.arms_down else trunk


def paint_body(
    patient: Patient, place: Place, shape: LungShape, fibres: Floats
) -> Floats:
    """Return the HU of a slab with everything but the air of the lungs.

    ``fibres`` is a field of unit variance that makes soft tissue uneven.
    """
    surface, edge = skin(patient, place), place.edge_mm
    hu = np.full(surface.shape, AIR_HU, np.float32)
    _paint_table(hu, place)
    paint(hu, coverage(surface, edge), _SKIN_HU)
    paint(hu, coverage(surface + 2, edge), FAT_HU + 6 * fibres)
    below = surface + np.float32(2 + patient.fat_mm)
    muscle = coverage(below + fibres, max(edge, 2))
    paint(hu, muscle, MUSCLE_HU + 5 * fibres)
    # Chest muscles are plates with fat between them.
    seam = np.abs(shape.cavity - np.float32(15) + fibres) - np.float32(1)
    paint(hu, coverage(seam, edge) * coverage(below, edge), FAT_HU)
    paint(hu, coverage(tubes(place, _ARMPITS), 4.0), FAT_HU)
    if patient.arms_down:
        paint(hu, coverage(tubes(place, _ARM_BONES), edge), 420.0)
    paint(hu, coverage(shape.cavity, edge), FAT_HU + 4 * fibres)
    _paint_organs(hu, patient, place, shape)
    _paint_middle(hu, patient, place, shape)
    paint_bones(hu, place, shape.cavity)
    return hu


def _paint_table(hu: Floats, place: Place) -> None:
    top = np.float32(146) - place.x * place.x * np.float32(1 / 1500)
    paint(hu, coverage(np.abs(place.y - top) - 1, place.edge_mm), _TABLE_HU)
    paint(hu, coverage(np.abs(place.y - top - 9) - 7, place.edge_mm), -955.0)


def _paint_organs(hu: Floats, patient: Patient, place: Place, shape: LungShape) -> None:
    """Paint what lies under the diaphragm."""
    if float(shape.floor.max()) < -5:
        return
    edge = place.edge_mm
    under = np.maximum(-shape.floor, shape.cavity)
    paint(hu, coverage(under, edge), MUSCLE_HU)  # the diaphragm itself
    paint(hu, coverage(np.maximum(under + 3, shape.cavity + 2), edge), FAT_HU)
    # Its left lobe reaches across the middle in front, where the liver ends in a bow.
    bow = place.y + np.float32(30)
    border = place.x - 30 + np.float32(0.75) * bow + np.float32(0.004) * bow * bow
    liver = np.maximum(np.maximum(under + 3, border * np.float32(0.72)), place.x - 75)
    paint(hu, coverage(liver, edge), _LIVER_HU)
    z = patient.left_dome_mm
    spleen = np.maximum(ellipsoid(place, (82, 42, z - 52), (34, 42, 42)), under + 4)
    paint(hu, coverage(spleen, edge), _SPLEEN_HU)
    stomach = np.maximum(ellipsoid(place, (64, -18, z - 42), (40, 44, 42)), under + 4)
    paint(hu, coverage(stomach, edge), MUSCLE_HU)
    if patient.stomach_gas:
        gas = np.maximum(stomach + 4, place.y + 14)  # it floats to the front
        paint(hu, coverage(gas, edge), AIR_HU)


def _paint_middle(hu: Floats, patient: Patient, place: Place, shape: LungShape) -> None:
    edge = place.edge_mm
    pump = np.maximum(heart(patient, place), shape.floor + 1)
    paint(hu, coverage(pump, edge), BLOOD_HU)
    paint(hu, coverage(great_vessels(place), edge), BLOOD_HU)
    paint(hu, coverage(gullet(place), edge), 30.0)
