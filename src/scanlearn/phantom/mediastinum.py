"""What lies between the lungs: heart, great vessels, gullet, and their fat."""

from __future__ import annotations

import numpy as np

from scanlearn.phantom.patient import Patient
from scanlearn.phantom.shapes import (
    Floats,
    Place,
    ellipse,
    ellipsoid,
    path,
    profile,
    smooth_min,
    tubes,
)

#: Centre line of the vertebral bodies: y by height, in mm.
SPINE = ((-160, 60), (-60, 68), (30, 70), (95, 58), (140, 42), (170, 30))

_AORTA = path(
    (
        (0, -22, 8, 16),
        (-10, -22, 42, 15),
        (2, -14, 64, 14),
        (19, 8, 69, 13.5),
        (24, 36, 54, 12.5),
        (24, 45, 0, 12),
        (18, 46, -80, 11),
        (6, 40, -175, 10),
    )
)
_VEINS = (
    *path(((-27, -14, 92, 8.5), (-27, -8, 12, 10))),  # superior vena cava
    *path(((20, 0, 92, 6), (-24, -16, 86, 7.5))),  # left brachiocephalic vein
    *path(((-24, 4, -30, 12), (-24, 14, -80, 12))),  # inferior vena cava
)
_ARTERIES = (
    *path(((14, -36, 8, 14), (18, -14, 36, 13))),  # pulmonary trunk
    *path(((16, -12, 36, 11), (-32, 8, 28, 9))),  # right pulmonary artery
    *path(((18, -12, 37, 11), (38, 20, 38, 9))),  # left pulmonary artery
    *path(((0, -8, 68, 6.5), (-18, 0, 100, 6), (-22, 4, 170, 5))),
    *path(((19, 10, 70, 5), (24, 10, 170, 5))),
)
_GULLET = path(((4, 30, 170, 7), (3, 40, 70, 7), (7, 40, 0, 7.5), (16, 30, -75, 8)))
GREAT_VESSELS = (*_AORTA, *_VEINS, *_ARTERIES)

# How much wider than in the middle the mediastinum is, by height.
_WIDENING = ((-160, 1), (50, 1), (95, 1.35), (130, 1.9))


def heart(patient: Patient, place: Place) -> Floats:
    """Return the distance to the heart, whose apex points left, forward and down."""
    k = patient.heart_size
    # The heart rests on the diaphragm, so it moves with it.
    z = (patient.right_dome_mm + patient.left_dome_mm) / 2 + 27 * k
    turn_x, turn_z = np.float32(0.86), np.float32(0.51)
    u, w = place.x - np.float32(26), place.z - np.float32(z)
    turned = Place(
        turn_x * u - turn_z * w + np.float32(0.35) * (place.y + 26) * -1,
        place.y,
        turn_z * u + turn_x * w,
    )
    ventricles = ellipsoid(turned, (0, -26, 0), (56 * k, 40 * k, 40 * k))
    right_atrium = ellipsoid(place, (-14, -16, z + 8), (26 * k, 32 * k, 38 * k))
    left_atrium = ellipsoid(place, (2, 14, z + 24), (36 * k, 21 * k, 24 * k))
    base = ellipsoid(place, (8, -28, z - 8), (42 * k, 36 * k, 26 * k))
    both = smooth_min(smooth_min(ventricles, base, 10), right_atrium, 12)
    return smooth_min(both, left_atrium, 10)


def gullet(place: Place) -> Floats:
    """Return the distance to the oesophagus."""
    return tubes(place, _GULLET)


def great_vessels(place: Place) -> Floats:
    """Return the distance to the aorta, the caval veins and the lung arteries."""
    return tubes(place, GREAT_VESSELS)


def mediastinum(patient: Patient, place: Place) -> Floats:
    """Return the distance to everything between the lungs, its fat included."""
    middle = (place.y - np.float32(8)) * np.float32(1 / 34)
    half = np.float32(14) / (1 + middle * middle) ** 2 + np.float32(5)
    slab = np.asarray(np.abs(place.x) - half * profile(place.z, _WIDENING), np.float32)
    out = smooth_min(slab, heart(patient, place) - np.float32(3), 12)
    out = smooth_min(out, great_vessels(place) - np.float32(2), 8)
    back = place.y - profile(place.z, SPINE)
    out = smooth_min(out, ellipse(place.x, back, 23, 20), 8)
    return smooth_min(out, ellipse(place.x, back - np.float32(26), 40, 20), 8)
