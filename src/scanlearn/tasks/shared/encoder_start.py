"""The encoder a fine-tuning starts from: a pre-trained one, or a fresh one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cohort.atlas.atlas_on_scans import PlacedCohorts, carry_atlas
from scanlearn.cohort.working import (
    IntensityUnits,
    WorkingCohorts,
    WorkingScan,
    common_units,
)
from scanlearn.config.run import RunConfig
from scanlearn.encoders.encoder_file import EncoderCard, load_encoder_for_frames
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.tasks.shared.start_units import check_units

#: Size of an encoder that starts from nothing.
_SCRATCH = {"dim": 64, "experts": 4}


@dataclass(frozen=True)
class Start:
    """What a fine-tuning on an encoder of patches begins with.

    Parameters
    ----------
    encoder, card
        The network; without a card it is a fresh one.
    pretrained
        Name of the run it was trained in; empty from scratch and for an untrained twin.
    cohorts
        At the encoder's voxel size, in its atlas where it has one.
    atlas, placed
        That atlas, and how the labelled scans lie in it.
    """

    encoder: LocationEncoder
    card: EncoderCard | None
    pretrained: str
    cohorts: WorkingCohorts
    atlas: Atlas | None
    placed: PlacedCohorts | None


def start_of(
    config: RunConfig,
    *,
    width: int,
    spacing_mm: float | None,
    labelled: Collection[str],
) -> Start:
    """Load the encoder of a fine-tuning and the cohorts as it sees them.

    Parameters
    ----------
    config
        The whole configuration.
    width, spacing_mm
        Of a training from scratch; an encoder's own are kept.
    labelled
        Keys of the labelled scans: no others are placed in the atlas.
    """
    encoder, card = _encoder(config.start_from, width=width)
    spacing = min(card.spacing_mm) if card else spacing_mm
    pretrained = ""
    if config.start_from is not None and card and card.trained:
        pretrained = config.start_from.name
    cohorts = WorkingCohorts(config.cohorts, spacing)
    atlas = card.located() if card else None
    if atlas is None:
        return Start(encoder, card, pretrained, cohorts, None, None)
    placed = carry_atlas(cohorts, atlas, only=set(labelled))
    return Start(encoder, card, pretrained, placed.cohorts, atlas, placed)


def _encoder(
    start_from: Path | None, *, width: int
) -> tuple[LocationEncoder, EncoderCard | None]:
    """Return the encoder of a run with its card; without a run a fresh one."""
    if start_from is not None:
        return load_encoder_for_frames(start_from)
    return LocationEncoder(width=width, **_SCRATCH), None


def units_as_of(
    scans: Sequence[WorkingScan], encoder: EncoderCard | None
) -> IntensityUnits:
    """Return what the intensities of the labelled scans mean, as the encoder's do."""
    units = common_units(scans)
    if encoder is not None:
        check_units(units, [encoder.units])
    return units


def rated_groups(
    network: nn.Module, encoder: nn.Module, *, rate: float
) -> list[dict[str, Any]]:
    """Return the parameters of a network but its encoder's, and those at their rate.

    The order stays: a resumed optimiser knows its parameters by nothing else.
    """
    slow = list(encoder.parameters())
    inside = set(slow)
    rest = [p for p in network.parameters() if p not in inside]
    return [{"params": rest}, {"params": slow, "rate": rate}]
