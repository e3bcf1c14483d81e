"""Where the atlas lies in one patient, and whether that can be believed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.anatomy.frames import Frame, FrameKind, frame_of_mask
from scanlearn.anatomy.label_mask import LabelMask, share_in_boxes
from scanlearn.anatomy.landmarks import Atlas, Coords
from scanlearn.anatomy.registration import AtlasShape, moments_map

#: A body is neither stretched nor turned beyond this on a scanner's table.
_SCALES, _MOST_DEGREES = (0.6, 1.6), 25.0

#: Below the first overlap somebody should look, below the second nothing is right.
_DOUBTFUL_DICE, _WRONG_DICE = 0.75, 0.65

#: Landmarks whose patch holds less than this share of the organ missed it, and how many
#: more than in the atlas may do so before somebody should look or nothing is right.
_MISSED, _DOUBTFUL_MISSED, _WRONG_MISSED = 0.05, 0.15, 0.3


@dataclass(frozen=True)
class Quality:
    """How well the atlas lies in a patient.

    Parameters
    ----------
    dice
        Overlap of atlas and patient, mean over the labels.
    determinant
        Volume of the patient relative to the atlas.
    scales
        Singular values of the map, largest first.
    rotation_degrees
        Angle of its rotation.
    inside
        Median share of a landmark's patch that is inside the patient's organ.
    missed
        Share of landmarks whose patch hardly touches it.
    """

    dice: float
    determinant: float
    scales: tuple[float, float, float]
    rotation_degrees: float
    inside: float
    missed: float

    @property
    def problems(self) -> tuple[str, ...]:
        """What somebody should look at."""
        found = implausible(self.scales, self.rotation_degrees)
        if self.dice < _DOUBTFUL_DICE:
            found += (f"atlas and patient overlap by {self.dice:.2f} only (Dice)",)
        if self.missed > _DOUBTFUL_MISSED:
            found += (f"{self.missed:.0%} of the landmarks miss the organ",)
        return found

    @property
    def is_usable(self) -> bool:
        """Whether most landmarks are where they should be."""
        return self.dice >= _WRONG_DICE and self.missed <= _WRONG_MISSED


@dataclass(frozen=True, eq=False)
class Placement:
    """The map between the locations of an atlas and a patient.

    Parameters
    ----------
    frame
        The atlas's box: it makes millimetres in the atlas of locations in [-1, 1]^3.
    matrix
        (4, 4) from millimetres in the atlas to LPS millimetres in the patient.
    method
        How it was found.
    atlas
        Hash of the atlas.
    quality
        How well it fits; None where there was nothing to compare.
    note
        Why a simpler method was taken than the one asked for.
    """

    frame: Frame
    matrix: NDArray[np.float64]
    method: Coords
    atlas: str
    quality: Quality | None = None
    note: str = ""

    @property
    def kind(self) -> FrameKind:
        """What locations refer to."""
        return self.frame.kind

    @property
    def is_usable(self) -> bool:
        """Whether the locations can be used at all."""
        return self.quality is None or self.quality.is_usable

    @property
    def problems(self) -> tuple[str, ...]:
        """What somebody should look at."""
        found = self.quality.problems if self.quality else ()
        if self.quality and not self.quality.dice and self.note:
            return (self.note,)
        return ((self.note,) if self.note else ()) + found

    @cached_property
    def _inverse(self) -> NDArray[np.float64]:
        return np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)

    def to_patient(self, locations: ArrayLike) -> NDArray[np.float64]:
        """Map locations (..., 3) to LPS points (..., 3) in millimetres."""
        return _mapped(self.matrix, self.frame.to_patient(locations))

    def to_location(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map LPS points (..., 3) in millimetres to locations (..., 3)."""
        points = np.asarray(points, dtype=np.float64)
        return self.frame.to_location(_mapped(self._inverse, points))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a report: no map, but how good it is."""
        return {
            "method": self.method,
            "usable": self.is_usable,
            "problems": list(self.problems),
            "quality": self.quality and asdict(self.quality),
        }


def place(atlas: Atlas, labels: LabelMask | None, frame: Frame) -> Placement:
    """Find the map from an atlas to a patient, in the way the atlas asks for.

    Parameters
    ----------
    atlas
        The atlas.
    labels
        The patient's own labels; None or empty where there are none.
    frame
        The patient's box, for when boxes are compared.
    """
    if atlas.shape is None or atlas.labels is None:
        if frame.kind != atlas.kind:
            return _nowhere(atlas, frame, f"only the {frame.kind} was found")
        matrix = _box_to_box(atlas.frame, frame)
        method: Coords = "field" if atlas.coords == "field" else "bbox"
        return Placement(atlas.frame, matrix, method, atlas.hash)
    if labels is None or labels.is_empty:
        return _nowhere(atlas, frame, f"there is no {atlas.kind} mask to register")
    matrix, method, note = _map(atlas.labels, atlas.shape, labels, atlas.coords)
    quality = measured(atlas, labels, matrix)
    return Placement(atlas.frame, matrix, method, atlas.hash, quality, note)


def _nowhere(atlas: Atlas, frame: Frame, why: str) -> Placement:
    """Return a placement that is not to be used, and why."""
    matrix = _box_to_box(atlas.frame, frame)
    quality = Quality(0.0, 0.0, (0.0, 0.0, 0.0), 0.0, 0.0, 1.0)
    return Placement(atlas.frame, matrix, "bbox", atlas.hash, quality, why)


def _map(
    atlas: LabelMask, shape: AtlasShape, patient: LabelMask, coords: Coords
) -> tuple[NDArray[np.float64], Coords, str]:
    """Return the map (4, 4), how it was found, and why not as it was asked for."""
    if coords == "affine":
        matrix = shape.register(patient).matrix
        why = implausible(*scales_and_rotation(matrix))
        if not why:
            return matrix, "affine", ""
        note = f"placed by its moments, for the registration failed: {', '.join(why)}"
        return moments_map(atlas, patient).matrix, "moments", note
    if coords == "moments":
        return moments_map(atlas, patient).matrix, "moments", ""
    boxes = [
        frame_of_mask(one.mask > 0, one.grid, kind="field") for one in (atlas, patient)
    ]
    return _box_to_box(*boxes), "bbox", ""


def measured(atlas: Atlas, labels: LabelMask, matrix: NDArray[np.float64]) -> Quality:
    """Measure how well a map (4, 4) carries an atlas with labels onto a patient."""
    assert atlas.labels is not None
    scales, rotation = scales_and_rotation(matrix)
    determinant = float(np.linalg.det(matrix[:3, :3]))
    where = np.argwhere(atlas.labels.mask > 0)[::4]
    own = atlas.labels.mask[tuple(where.T)]
    there = labels.at(_mapped(matrix, atlas.labels.grid.to_patient(where)))
    count = atlas.labels.count
    sizes = np.bincount(own, minlength=count + 1)[1:]
    hits = np.bincount(own[own == there], minlength=count + 1)[1:]
    shares = hits / np.maximum(sizes, 1)
    mine = atlas.labels.volumes_mm3(count)
    theirs = labels.volumes_mm3(count) / max(abs(determinant), 1e-9)
    dice = float(np.mean(2 * shares * mine / (mine + theirs)))
    centres = _mapped(matrix, atlas.frame.to_patient(atlas.landmarks))
    inside = share_in_boxes(labels, centres, atlas.patch_mm)
    return Quality(
        dice=round(dice, 4),
        determinant=round(determinant, 4),
        scales=scales,
        rotation_degrees=rotation,
        inside=round(float(np.median(inside)), 4),
        missed=round(float((inside < _MISSED).mean()), 4),
    )


def scales_and_rotation(
    matrix: NDArray[np.float64],
) -> tuple[tuple[float, float, float], float]:
    """Return a map's singular values and the angle of its rotation in degrees."""
    left, values, right = np.linalg.svd(matrix[:3, :3])
    if np.linalg.det(matrix[:3, :3]) < 0:  # mirrored: say so by a negative scale
        values[2] *= -1
        right[2] *= -1
    cosine = (np.trace(left @ right) - 1) / 2
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    a, b, c = (round(float(value), 4) for value in values)
    return (a, b, c), round(angle, 2)


def implausible(
    scales: tuple[float, float, float], rotation_degrees: float
) -> tuple[str, ...]:
    """Say what no body on a scanner's table does."""
    found: tuple[str, ...] = ()
    if min(scales) < _SCALES[0] or max(scales) > _SCALES[1]:
        found += (f"the atlas is stretched by {min(scales):.2f} to {max(scales):.2f}",)
    if rotation_degrees > _MOST_DEGREES:
        found += (f"the atlas is turned by {rotation_degrees:.0f} degrees",)
    return found


def _box_to_box(atlas: Frame, patient: Frame) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(patient.size_mm / atlas.size_mm)
    matrix[:3, 3] = patient.to_patient(atlas.to_location(np.zeros(3)))
    return matrix


def _mapped(
    matrix: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])
