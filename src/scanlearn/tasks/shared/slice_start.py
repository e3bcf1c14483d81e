"""The encoder of slices a fine-tuning starts from: pre-trained, or a fresh one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scanlearn.cohort.working import HasUnits, IntensityUnits, common_units
from scanlearn.config.joint import TransformerConfig, TrunkConfig
from scanlearn.encoders.encoder_file import load_slice_encoder
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard, build_slice_encoder
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.tasks.shared.start_units import check_units

#: Single images have no use for the transformer along slices: as small as it gets.
_NO_TRANSFORMER = TransformerConfig(dim=2, layers=1, heads=1, head_width=2, hidden=2)


@dataclass(frozen=True)
class SliceStart:
    """What a fine-tuning on single images begins with.

    Parameters
    ----------
    encoder
        The network.
    card
        Of the pre-training; None from scratch.
    trunk, transformer
        How the encoder is built again.
    pretrained
        Name of the run it was trained in; empty from scratch and for an untrained twin.
    """

    encoder: SliceEncoder
    card: SliceEncoderCard | None
    trunk: TrunkConfig
    transformer: TransformerConfig
    pretrained: str

    def units_of(self, scans: Iterable[HasUnits]) -> IntensityUnits:
        """Return what the labelled scans' intensities mean, which it must know."""
        return units_known(scans, self.card)


def slice_start(start_from: Path | None, trunk: TrunkConfig) -> SliceStart:
    """Load the encoder of a run; without a run make a fresh one.

    Raises
    ------
    BadRun
        If the run has none, or one that sees patches.
    """
    if start_from is None:
        encoder = build_slice_encoder(trunk, _NO_TRANSFORMER, knee=None)
        return SliceStart(encoder, None, trunk, _NO_TRANSFORMER, "")
    encoder, card = load_slice_encoder(start_from)
    pretrained = start_from.name if card.trained else ""
    return SliceStart(encoder, card, card.trunk, card.transformer, pretrained)


def units_known(
    scans: Iterable[HasUnits], encoder: SliceEncoderCard | None
) -> IntensityUnits:
    """Return what the intensities of labelled scans mean.

    Raises
    ------
    BadCohort
        If they are of several kinds, or of one that the encoder did not see.
    """
    units = common_units(scans)
    if encoder is not None:
        check_units(units, encoder.units)
    return units
