"""The encoder a fine-tuning starts from: a pre-trained one, or a fresh one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from scanlearn.cohort.working import IntensityUnits, WorkingScan, common_units
from scanlearn.errors import BadCohort
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.recipes.encoder_file import EncoderCard, load_encoder_for_frames

#: Size of an encoder that starts from nothing.
_SCRATCH = {"dim": 64, "experts": 4}


def starting_encoder(
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
    if encoder is not None and encoder.units != units:
        raise BadCohort(
            f"The labelled scans' intensities are {units}, those the encoder was "
            f"trained on {encoder.units}",
            expected="scans of the encoder's modality",
            next_step="Choose another pre-training, or start from scratch",
        )
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
