"""What a DrasCLR training fits to its cohort: patches, encoder, queues, batches."""

from __future__ import annotations

import math

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cohort.working import WorkingCohorts, common_units
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.encoders.encoder_file import EncoderCard
from scanlearn.errors import BadCohort
from scanlearn.nets.dense_encoder import STRIDE, window_side
from scanlearn.pretraining.drasclr.landmark_batches import LandmarkPlan
from scanlearn.views.normalise import knee_of

#: Queue length over cohort size above which a queue is mostly one's own old keys.
_QUEUE_SHARE = 0.8

#: A visit lasts this many times the steps that fill a queue once.
_FILLS_A_VISIT = 1.5


def queue_length(config: DrasclrConfig, *, patients: int, landmarks: int) -> int:
    """Return how many keys a queue keeps: sized to the cohort, in whole batches.

    A queue longer than the cohort holds mostly keys of the query's own patient, which
    are masked. Without a queue the rest of the batch must serve, if it may.
    """
    batch = min(config.batch, patients)
    keys = patients * (landmarks if config.shared_queue else 1)
    most = min(config.queue, int(_QUEUE_SHARE * keys))
    length = most // batch * batch
    return length if length or config.in_batch else batch


def patch_sides(config: DrasclrConfig, voxel_mm: float) -> tuple[int, int]:
    """Return the sides of a patch and of what is read around it, in voxels."""
    wanted = config.landmarks
    patch = wanted.patch_voxels or max(16, round(wanted.patch_mm / voxel_mm / 16) * 16)
    if config.encoder.architecture == "dense":
        patch = window_side(patch // STRIDE)  # with its halo
    if not config.views.context:
        return patch, patch
    return patch, patch + 2 * math.ceil(config.views.shift_mm / voxel_mm)


def encoder_card(
    config: DrasclrConfig, cohorts: WorkingCohorts, atlas: Atlas, *, patch: int
) -> EncoderCard:
    """Describe the encoder of a training, from which it can be built anywhere."""
    encoder = config.encoder
    dense = encoder.architecture == "dense"
    units = common_units(cohorts.scans)
    spacing = cohorts.spacing_mm
    x, y, z = (
        2 * mm / side for mm, side in zip(spacing[::-1], atlas.size_mm, strict=True)
    )
    return EncoderCard(
        architecture="dense-encoder" if dense else "location-encoder",
        method="drasclr",
        width=encoder.width,
        dim=encoder.dim,
        experts=encoder.basis if dense else encoder.experts,
        patch_voxels=patch,
        spacing_mm=spacing,
        pooling=cohorts.scans[0].factor,
        units=units,
        knee=knee_of(encoder.knee_hu, units),
        atlas=atlas.to_dict(),
        voxel_step=(x, y, z),
        decoder=config.dense > 0,
        step=0,
    )


def landmark_plan(
    config: DrasclrConfig, cohorts: WorkingCohorts, atlas: Atlas, *, seed: int
) -> LandmarkPlan:
    """Fill a batch: all patients there are, on as many landmarks as make it full."""
    scans_of = tuple(tuple(scans) for scans in cohorts.patients().values())
    if len(scans_of) < 2:
        raise BadCohort(
            f"The cohort has scans of {len(scans_of)} patient",
            expected="at least 2 patients: DrasCLR learns by telling patients apart",
            next_step="Add scans of other patients with 'scanlearn prepare'",
        )
    batch = min(config.batch, len(scans_of))
    groups = min(max(1, config.batch // batch), len(atlas.landmarks))
    visit = config.visit or _visit(config, len(scans_of), len(atlas.landmarks))
    return LandmarkPlan(
        landmarks=len(atlas.landmarks),
        scans_of=scans_of,
        groups=groups,
        batch=batch,
        visit=visit,
        seed=seed,
        neighbours=atlas.neighbours(config.neighbours) if config.neighbours else None,
    )


def _visit(config: DrasclrConfig, patients: int, landmarks: int) -> int:
    """Return for how many steps a landmark's queue gets a chance to fill with new keys.

    All keys of a shared queue are new, wherever the last steps were.
    """
    if config.shared_queue:
        return 1
    length = queue_length(config, patients=patients, landmarks=landmarks)
    return max(1, math.ceil(_FILLS_A_VISIT * length / min(config.batch, patients)))
