"""Patches at landmarks, read from cohorts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.encoders.patch_places import patch_start
from scanlearn.pretraining.drasclr.landmark_batches import PatchRequest
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
