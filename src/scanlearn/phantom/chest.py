"""A whole chest CT phantom with its truth, from a seed and a patient's number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.phantom.emphysema import Emphysema, Subtype, plan_emphysema
from scanlearn.phantom.lesions import Nodule, draw_nodules
from scanlearn.phantom.lungs import lung_points
from scanlearn.phantom.noise import scan_with
from scanlearn.phantom.outcomes import Outcome, draw_outcome
from scanlearn.phantom.painting import LungContents, paint_chest
from scanlearn.phantom.patient import Dose, Kernel, Patient, draw_patient
from scanlearn.phantom.trees import grow_lungs
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Scan

#: Default voxel size along (S, P, L): quick to make, fine enough for every label.
SPACING_MM = (2.5, 1.6, 1.6)

#: Field of view along (S, P, L), and its middle in the reference body (x, y, z).
_FIELD_MM = (310.0, 320.0, 368.0)
_MIDDLE = (0.0, 14.0, -14.0)
_TRIED_POINTS = 160_000
# What share of emphysema subtypes and sizes a cohort has, by patient number.
_SUBTYPES: tuple[Subtype, ...] = ("centrilobular", "none", "panlobular", "paraseptal")
_PERCENT: dict[Subtype, tuple[float, float]] = {
    "none": (0, 0),
    "centrilobular": (4, 16),
    "paraseptal": (1.5, 5),
    "panlobular": (15, 45),
}


@dataclass(frozen=True, eq=False)
class Disease:
    """What a patient has: the planned lesions, before a grid is chosen."""

    nodules: int
    emphysema: Subtype
    percent: float


@dataclass(frozen=True, eq=False)
class Phantom:
    """A chest CT with everything that is known about it.

    Parameters
    ----------
    scan
        int16 Hounsfield units on a canonical grid.
    truth
        uint8 label maps on the same grid: ``lungs`` (1 right, 2 left), ``lobes``
        (1 right upper, 2 middle, 3 lower, 4 left upper, 5 lower), ``nodules`` (1),
        ``emphysema`` (1 centrilobular, 2 paraseptal, 3 panlobular).
    nodules
        Their centres (LPS mm) and diameters.
    emphysema
        Subtype and extent.
    outcome
        The simulated clinical course.
    patient
        Shape, kernel and dose; ``patient.name`` is the identifier.
    """

    scan: Scan
    truth: dict[str, NDArray[np.uint8]]
    nodules: tuple[Nodule, ...]
    emphysema: Emphysema
    outcome: Outcome
    patient: Patient

    @property
    def name(self) -> str:
        """The patient's identifier, such as ``PHANTOM-0007``."""
        return self.patient.name


def make_chest(
    seed: int,
    patient: int,
    *,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    kernel: Kernel | None = None,
    dose: Dose | None = None,
    disease: Disease | None = None,
) -> Phantom:
    """Make the chest CT of one patient; equal arguments give equal voxels.

    Parameters
    ----------
    seed, patient
        Who: any numbers. The anatomy depends on nothing else.
    spacing_mm
        Voxel size along (S, P, L). The same body is drawn at any spacing.
    kernel, dose
        The reconstruction; by default the patient's own. ``"none"`` adds no noise.
    disease
        The lesions; by default the patient's own.
    """
    who = draw_patient(seed, patient)
    kernel, dose = kernel or who.kernel, dose or who.dose
    inside = _fill_lungs(who, disease or _draw_disease(who))
    grid = _grid(who, spacing_mm)
    hu, truth = paint_chest(who, inside, grid)
    scan_with(hu, spacing_mm, who.generator("noise"), kernel=kernel, dose=dose)
    voxels = np.clip(np.rint(hu, out=hu), -1024, 3071).astype(np.int16)
    about = Acquisition(
        modality="CT",
        units="HU",
        description=f"Chest phantom, {kernel} kernel, {dose} dose",
        body_part="CHEST",
        kernel=kernel.upper(),
        slice_thickness_mm=float(spacing_mm[0]),
        manufacturer="napari-scanlearn phantom",
    )
    emphysema = inside.emphysema.measured(truth["emphysema"], truth["lungs"])
    return Phantom(
        scan=Scan(voxels, grid, about, patient=who.name),
        truth=truth,
        nodules=inside.nodules,
        emphysema=emphysema,
        outcome=draw_outcome(who.generator("outcome"), emphysema, inside.nodules),
        patient=who,
    )


def _draw_disease(who: Patient) -> Disease:
    rng = who.generator("disease")
    subtype = _SUBTYPES[who.number % len(_SUBTYPES)]
    low, high = _PERCENT[subtype]
    return Disease(int(rng.integers(0, 5)), subtype, float(rng.uniform(low, high)))


def _grid(who: Patient, spacing_mm: tuple[float, float, float]) -> Grid:
    """Return the canonical grid of a patient's field of view."""
    shape = np.round(np.array(_FIELD_MM) / spacing_mm).astype(int)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[3, 3] = 1
    # The middle of the field does not follow the body's bends: a table is straight.
    middle = np.array(who.origin_mm) + np.array(_MIDDLE) * who.scale
    affine[:3, 3] = np.round(middle - affine[:3, :3] @ ((shape - 1) / 2), 1)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _fill_lungs(who: Patient, disease: Disease) -> LungContents:
    points, depth, volume_ml = lung_points(who, _TRIED_POINTS)
    what = Emphysema(disease.emphysema, disease.percent)
    return LungContents(
        trees=grow_lungs(who, points, depth),
        nodules=draw_nodules(
            who.generator("nodules"), points, depth, count=disease.nodules
        ),
        emphysema=what,
        spots=plan_emphysema(who, what, points, depth, volume_ml),
    )
