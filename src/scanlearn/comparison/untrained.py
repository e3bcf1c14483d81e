"""The untrained twin of a pre-training, by which its worth is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from scanlearn.cohort.atlas.atlas_on_scans import carry_atlas
from scanlearn.cohort.slices import slice_cohorts
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.joint import JointConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.encoder_file import (
    Encoder,
    EncoderCard,
    read_card,
    save_encoder,
)
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard
from scanlearn.errors import BadCohort
from scanlearn.nets.recalibrate import recalibrate_batch_norm
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.pretraining.drasclr.clean_batches import clean_batches
from scanlearn.pretraining.drasclr.patches import PatchData
from scanlearn.pretraining.joint.clean_images import estimate_on_images
from scanlearn.randomness import seed_everything
from scanlearn.runs.folder import RunFolder


def write_untrained(
    run: Path, out: Path, *, seed: int, others: Sequence[Path] = ()
) -> RunFolder:
    """Write a run with an encoder of the same make and places, and new weights.

    Its batch norms are estimated on unchanged images or patches, as those of the
    encoder it stands beside are: with the statistics of nothing, 0 and 1, features of
    random weights are worse than they need be, and the pre-training is flattered.

    Parameters
    ----------
    run
        A pre-training that has saved.
    out
        The new run, which must not exist.
    seed
        Of the weights.
    others
        Cohorts that the statistics are taken from where the pre-training's own are not
        here, as with imported weights.

    Raises
    ------
    BadCohort
        If there is none to take them from.
    """
    card, config = read_card(run), RunFolder(run).config()
    mine = config.cohorts if all(path.exists() for path in config.cohorts) else ()
    cohorts = mine or tuple(others)
    if not cohorts:
        raise BadCohort(
            f"The cohorts that {run} was trained on are not here",
            expected="some scans, for the batch norms of its untrained twin",
            next_step="Bring them back to where they were",
        )
    seed_everything(seed, "untrained")
    here = config.model_copy(update={"cohorts": cohorts})
    encoder = (
        _of_patches(card, here)
        if isinstance(card, EncoderCard)
        else _of_slices(card, here)
    )
    folder = RunFolder.create(out, config)
    save_encoder(
        folder.checkpoints,
        encoder,
        card.model_copy(update={"step": 0, "trained": False, "decoder": False}),
    )
    return folder


def _of_slices(card: SliceEncoderCard, run: RunConfig) -> SliceEncoder:
    """Make an encoder with the statistics of the run's images."""
    settings, encoder = run.section(JointConfig), card.build()
    estimate_on_images(
        encoder,
        slice_cohorts(run.cohorts, settings),
        side=card.slice_side,
        images=settings.clean_images,
        seed=run.engine.seed,
    )
    return encoder


def _of_patches(card: EncoderCard, run: RunConfig) -> Encoder:
    """Make an encoder with the statistics of patches of the run's cohorts."""
    settings = run.section(DrasclrConfig)
    encoder, atlas = card.build(), card.located()
    working = WorkingCohorts(run.cohorts, min(card.spacing_mm))
    placed = carry_atlas(working, atlas).cohorts
    clean = clean_batches(
        PatchData(placed, atlas, side=card.patch_voxels),
        torch.from_numpy(card.convention.locations(atlas.landmarks)),
        patch=card.patch_voxels,
        batches=settings.clean_batches,
        seed=run.engine.seed,
    )
    recalibrate_batch_norm(encoder, clean)
    return encoder
