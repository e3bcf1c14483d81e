"""Patches at landmarks, read from cohorts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset

from scanlearn.anatomy.frames import Frame
from scanlearn.anatomy.landmarks import Atlas, make_atlas
from scanlearn.cohort.working import WorkingCohorts, WorkingScan
from scanlearn.config.drasclr import LandmarkConfig
from scanlearn.errors import BadCohort
from scanlearn.recipes.pretrain.landmark_batches import PatchRequest
from scanlearn.scans.geometry import Grid
from scanlearn.views.normalise import shifted


@dataclass(frozen=True)
class Patch:
    """What a loader's worker hands over: everything the step needs to know of it."""

    voxels: Tensor  # (S, S, S) intensities from 0 (air) to 1264
    landmark: int
    patient: int


class PatchData(Dataset[Patch]):
    """Patches with their context, by request.

    The centre of a patch is the landmark's place in the patient; its axes are the
    patient's own (S, P, L), neither turned nor stretched.

    Parameters
    ----------
    cohorts, atlas
        Where to read, and what landmark numbers mean.
    side
        Side of what is read, in working voxels: the patch and its context.
    """

    def __init__(self, cohorts: WorkingCohorts, atlas: Atlas, *, side: int) -> None:
        self.cohorts, self.atlas, self.side = cohorts, atlas, side
        numbers = cohorts.patients().values()
        self._patient_of = {
            scan: patient for patient, scans in enumerate(numbers) for scan in scans
        }

    def __getitem__(self, request: PatchRequest) -> Patch:
        scan = self.cohorts.scans[request.scan]
        location = self.atlas.landmarks[request.landmark]
        start = patch_start(scan, location, self.side)
        voxels = self.cohorts.read(request.scan, start, (self.side,) * 3)
        intensity = shifted(torch.from_numpy(voxels), scan.units)
        return Patch(intensity, request.landmark, self._patient_of[request.scan])


class Placed(Protocol):
    """Whatever has voxels somewhere in a patient."""

    @property
    def grid(self) -> Grid:
        """Where its voxels are."""
        ...

    @property
    def frame(self) -> Frame:
        """What its locations refer to."""
        ...


def patch_start(scan: Placed, location: ArrayLike, side: int) -> NDArray[np.int_]:
    """Return the first index of a box of ``side`` voxels centred on a location."""
    centre = scan.grid.to_index(scan.frame.to_patient(location))
    return np.rint(centre - (side - 1) / 2).astype(int)


def collate(patches: list[Patch], *, neighbours: int = 0) -> dict[str, Tensor]:
    """Stack the patches of a step: anchors landmark by landmark, then neighbours.

    Parameters
    ----------
    patches
        (G, B) anchors, then (G, R, B) neighbours, in this order.
    neighbours
        How many neighbours R an anchor has.

    Returns
    -------
    dict
        ``voxels`` (G, B, 1, S, S, S), ``landmarks`` (G,), ``patients`` (G, B); with
        neighbours also ``near_voxels`` (G, R, B, S, S, S), ``near_landmarks`` (G, R).
    """
    anchors = patches[: len(patches) // (1 + neighbours)]
    landmarks = list(dict.fromkeys(patch.landmark for patch in anchors))
    shape = (len(landmarks), len(anchors) // len(landmarks))
    voxels = torch.stack([patch.voxels for patch in patches])
    side = voxels.shape[1:]
    batch = {
        "voxels": voxels[: len(anchors)].view(*shape, 1, *side),
        "landmarks": torch.tensor(landmarks),
        "patients": torch.tensor([patch.patient for patch in anchors]).view(shape),
    }
    if neighbours:
        around = (shape[0], neighbours, shape[1])
        near = torch.tensor([patch.landmark for patch in patches[len(anchors) :]])
        batch["near_voxels"] = voxels[len(anchors) :].view(*around, *side)
        batch["near_landmarks"] = near.view(around)[:, :, 0]
    return batch


def cohort_atlas(cohorts: WorkingCohorts, config: LandmarkConfig) -> Atlas:
    """Make the atlas of some cohorts; all their frames must mean the same."""
    kinds = {scan.frame.kind for scan in cohorts.scans}
    if len(kinds) > 1:
        odd = min(kinds, key=lambda k: sum(s.frame.kind == k for s in cohorts.scans))
        some = [scan.key for scan in cohorts.scans if scan.frame.kind == odd]
        raise BadCohort(
            f"Locations do not mean the same in all scans: those of {some[:3]} refer "
            f"to the {odd}, others to the {', '.join(sorted(kinds - {odd}))}",
            expected="one kind of frame, such as the lungs, in every scan",
            next_step="Exclude these scans, or train on them in a cohort of their own",
        )
    return make_atlas(
        [scan.frame for scan in cohorts.scans],
        (_mask(cohorts, scan) for scan in cohorts.scans),
        patch_mm=config.patch_mm,
        step_mm=config.step_mm,
        least_fraction=config.min_lung,
        at_most=config.at_most,
    )


def _mask(
    cohorts: WorkingCohorts, scan: WorkingScan
) -> tuple[NDArray[np.bool_], Grid] | None:
    if scan.frame.kind != "lungs":
        return None
    found = cohorts.cohorts[scan.cohort].lungs(scan.key)
    return None if found is None else (found[0] > 0, found[1])
