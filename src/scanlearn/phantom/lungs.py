"""The two lungs: chest cavity, domes of the diaphragm, lobes and the air in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.phantom.mediastinum import mediastinum
from scanlearn.phantom.patient import Patient, Points
from scanlearn.phantom.shapes import Floats, Place, oval, profile, smooth_max

# Half width, half depth and centre of the chest cavity by height, in mm.
_HALF = ((-160, 116), (-100, 119), (-40, 118), (20, 111), (60, 99), (95, 84), (130, 64))
_DEPTH = ((-160, 90), (-100, 94), (-40, 93), (20, 89), (60, 84), (95, 75), (130, 58))
_CENTRE = ((-160, 6), (-60, 2), (20, 1), (60, 3), (95, 9), (130, 20))


@dataclass(frozen=True, eq=False)
class LungShape:
    """Signed distances that make the lungs at some place, in mm, negative inside."""

    cavity: Floats  # the inside of the rib cage, without floor or roof
    floor: Floats  # negative above the diaphragm
    lungs: Floats  # both lungs


def chest_cavity(place: Place) -> Floats:
    """Return the distance to the wall inside the ribs."""
    return oval(
        place.x,
        place.y - profile(place.z, _CENTRE),
        profile(place.z, _HALF),
        profile(place.z, _DEPTH),
    )


def cavity_front(place: Place) -> Floats:
    """Return how far to the front: -1 at the back of the cavity, 1 at its front."""
    depth = profile(place.z, _DEPTH)
    return np.asarray((profile(place.z, _CENTRE) - place.y) / depth, np.float32)


def lung_shape(patient: Patient, place: Place) -> LungShape:
    """Return the lungs of a patient at a place."""
    cavity = chest_cavity(place)
    floor = _diaphragm(patient, place)
    lungs = smooth_max(cavity, _roof(patient, place), 12)
    lungs = smooth_max(lungs, floor, 3)
    lungs = smooth_max(lungs, -mediastinum(patient, place), 7)
    return LungShape(cavity, floor, lungs)


def lobe_map(place: Place) -> NDArray[np.uint8]:
    """Return the lobe a place would belong to, inside or outside of the lungs.

    1 right upper, 2 right middle, 3 right lower, 4 left upper, 5 left lower.
    """
    lower = oblique_fissure(place) < 0
    middle = horizontal_fissure(place) < 0
    right = np.where(lower, 3, np.where(middle, 2, 1)).astype(np.uint8)
    left = np.where(lower, 5, 4).astype(np.uint8)
    return np.where(place.x < 0, right, left)


def oblique_fissure(place: Place) -> Floats:
    """Return the distance above the oblique fissure: negative in the lower lobe."""
    bow = np.float32(-0.0016) * (np.abs(place.x) - 60) ** 2
    height = place.z - np.float32(0.92) * place.y + 4 + bow
    return np.asarray(height * np.float32(0.736), np.float32)


def horizontal_fissure(place: Place) -> Floats:
    """Return the distance above the right lung's horizontal fissure."""
    bow = np.float32(0.0015) * (place.y + 20) ** 2
    return np.asarray(place.z - 3 + bow, np.float32)


def lung_air(patient: Patient, place: Place, grain: Floats) -> Floats:
    """Return the density in HU of lung without vessels or disease.

    Lung is denser towards the back, where gravity pulls a lying patient's blood.
    """
    hu = np.float32(patient.gravity_hu_per_mm) * place.y + np.float32(patient.lung_hu)
    hu = hu + grain
    split = _fissure_part(oblique_fissure(place), place.edge_mm)
    low = _fissure_part(horizontal_fissure(place), place.edge_mm)
    low *= (place.x < 0) & (oblique_fissure(place) > 0)
    return np.asarray(hu + np.float32(800) * np.maximum(split, low), np.float32)


def lung_points(patient: Patient, count: int) -> tuple[Points, Points, float]:
    """Draw points (n, 3) evenly inside the lungs.

    Returns the points, their depth below the surface in mm, and the volume of both
    lungs in millilitres. ``count`` points are tried; about a quarter lie in a lung.
    """
    rng = patient.generator("lung points")
    low = patient.to_patient([[-125.0, -100.0, -150.0]])[0] - 8
    high = patient.to_patient([[125.0, 110.0, 135.0]])[0] + 8
    points = rng.uniform(low, high, (count, 3))
    distance = lung_shape(patient, patient.place_points(points)).lungs
    inside = distance < 0
    volume_ml = float(inside.mean() * np.prod(high - low) / 1000)
    return points[inside], -distance[inside].astype(np.float64), volume_ml


def _fissure_part(distance: Floats, edge_mm: float) -> Floats:
    part = np.maximum(1 - np.abs(distance) * np.float32(1 / edge_mm), 0)
    return np.asarray(part * np.float32(min(1.0, 0.3 / edge_mm)), np.float32)


def _diaphragm(patient: Patient, place: Place) -> Floats:
    """Return the distance below the domes: negative above them."""
    side = np.clip(place.x * np.float32(1 / 50) + np.float32(0.5), 0, 1)
    right, left = patient.right_dome_mm, patient.left_dome_mm
    top = np.float32(right) + np.float32(left - right) * side * side * (3 - 2 * side)
    out = np.abs(place.x) - np.float32(60)
    # The dome falls steeply to the ribs and hardly towards the heart that lies on it.
    u = out * np.where(out > 0, np.float32(1 / 59), np.float32(1 / 190))
    back = place.y + np.float32(10)
    v = back * np.where(back > 0, np.float32(1 / 96), np.float32(1 / 92))
    # The recess between dome and ribs ends some 80 mm below the dome.
    r2 = np.minimum(u * u + v * v, np.float32(0.98))
    r4 = r2 * r2
    steep = (2 * 16 + 8 * 70 * r4 * r2) * np.float32(1 / 75)
    below = top - r2 * (16 + 70 * r4 * r2) - place.z
    return np.asarray(below / np.sqrt(1 + r2 * steep * steep), np.float32)


def _roof(patient: Patient, place: Place) -> Floats:
    """Return the distance above the apices: negative below them."""
    u = (np.abs(place.x) - np.float32(48)) * np.float32(1 / 62)
    v = (place.y - np.float32(16)) * np.float32(1 / 92)
    r2 = u * u + v * v
    above = place.z - np.float32(patient.apex_mm) + 70 * r2
    return np.asarray(above / np.sqrt(1 + 4 * r2), np.float32)
