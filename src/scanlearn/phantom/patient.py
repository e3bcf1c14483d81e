"""Who a phantom is: size, shape and habits, all drawn from a seed and a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.phantom.shapes import Floats, Place
from scanlearn.randomness import numpy_generator

Kernel = Literal["soft", "standard", "sharp"]
Dose = Literal["none", "low", "standard"]
Points = NDArray[np.float64]

#: Size of the reference body's gentle bends.
_BEND_MM = 3.0


@dataclass(frozen=True, eq=False)
class Patient:
    """The shape of one patient and its place on the scanner's table.

    All anatomy is drawn in a reference body (LPS axes, millimetres, origin between the
    hila); a patient's own body is that one scaled, slightly bent and moved.
    """

    seed: int
    number: int
    origin_mm: tuple[float, float, float]
    scale: tuple[float, float, float]
    bends: NDArray[np.float64]  # (2 axes, 2 inputs, 3: size mm, cycles per mm, phase)
    fat_mm: float
    lung_hu: float
    gravity_hu_per_mm: float
    right_dome_mm: float
    left_dome_mm: float
    apex_mm: float
    heart_size: float
    arms_down: bool
    stomach_gas: bool
    kernel: Kernel
    dose: Dose

    @property
    def name(self) -> str:
        """The patient's identifier, such as ``PHANTOM-0007``."""
        return f"PHANTOM-{self.number:04d}"

    def generator(self, *purpose: str | int) -> np.random.Generator:
        """Return the random numbers of one purpose of this patient."""
        return numpy_generator(self.seed, "phantom", self.number, *purpose)

    def place(self, x: Floats, y: Floats, z: Floats, edge_mm: float = 1.0) -> Place:
        """Map LPS millimetres (broadcastable) into the reference body.

        ``z`` keeps its shape, so that what depends on the height alone stays cheap.
        """
        (x0, y0, z0), (sx, sy, sz) = self.origin_mm, self.scale
        x, y, z = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
        xr = x / np.float32(sx) + self._bend(0, 0, z) + self._bend(0, 1, y)
        yr = y / np.float32(sy) + self._bend(1, 0, z) + self._bend(1, 1, x)
        return Place(xr, yr, z / np.float32(sz), edge_mm)

    def place_points(self, points: Points) -> Place:
        """Map LPS points (n, 3) into the reference body."""
        x, y, z = np.asarray(points, np.float32).T
        return self.place(x, y, z)

    def to_patient(self, reference: ArrayLike) -> Points:
        """Map points (n, 3) of the reference body to LPS millimetres."""
        wanted = np.asarray(reference, np.float64)
        points = wanted * self.scale + np.array(self.origin_mm)
        for _ in range(6):  # the bends are gentle: each round gains a digit
            place = self.place_points(points)
            found = np.stack([place.x, place.y, place.z], axis=-1)
            points = points + (wanted - found) * self.scale
        return np.asarray(points)

    def _bend(self, axis: int, of: int, mm: Floats) -> Floats:
        size, frequency, phase = self.bends[axis, of]
        angle = 2 * np.pi * (frequency * mm + phase)
        return np.asarray(size * np.sin(angle), np.float32)


def draw_patient(seed: int, number: int) -> Patient:
    """Draw the patient of a number: the same one every time."""
    rng = numpy_generator(seed, "phantom", number, "body")
    build = rng.normal(0, 1)
    bends = np.stack(
        [
            rng.uniform(0.3, 1.0, (2, 2)) * _BEND_MM,
            rng.uniform(1 / 320, 1 / 170, (2, 2)),
            rng.uniform(0, 1, (2, 2)),
        ],
        axis=-1,
    )
    right_dome = float(np.clip(rng.normal(-54, 7), -66, -38))
    scale = [0.99 + 0.035 * build, 0.97 + 0.035 * build, 0.98 + 0.025 * build]
    scale = list(np.clip(np.array(scale) + rng.normal(0, 0.018, 3), 0.88, 1.07))
    return Patient(
        seed=seed,
        number=number,
        origin_mm=(rng.normal(0, 6), rng.normal(-20, 8), rng.uniform(-420, -80)),
        scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        bends=bends,
        fat_mm=float(np.clip(rng.normal(11, 4), 4, 20)),
        lung_hu=float(np.clip(rng.normal(-876, 9), -895, -855)),
        gravity_hu_per_mm=float(rng.uniform(0.2, 0.4)),
        right_dome_mm=right_dome,
        left_dome_mm=right_dome - float(rng.uniform(4, 12)),
        apex_mm=float(rng.normal(124, 3)),
        heart_size=float(np.clip(rng.normal(1, 0.06), 0.87, 1.14)),
        arms_down=bool(rng.random() < 0.2),
        stomach_gas=bool(rng.random() < 0.6),
        kernel=rng.choice(np.array(["soft", "standard", "sharp"])).item(),
        dose=rng.choice(np.array(["low", "standard"])).item(),
    )
