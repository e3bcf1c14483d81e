"""A segmenter that a training goes on from, with other labels than it had."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cohort.atlas.atlas_on_scans import carry_atlas
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadRun
from scanlearn.tasks.segmentation.card import (
    AnyCard,
    SegmenterCard,
    SliceSegmenterCard,
    load_segmenter,
    load_slice_segmenter,
    read_segmenter_card,
)
from scanlearn.tasks.shared.earlier_model import CARD
from scanlearn.tasks.shared.encoder_start import Start
from scanlearn.tasks.shared.slice_start import SliceStart
from scanlearn.tasks.shared.start_units import check_units


def earlier_card(run: Path | None) -> AnyCard | None:
    """Return the card of a segmenter to go on from; None for any other start."""
    if run is None or not (run / "checkpoints" / CARD).is_file():
        return None
    return read_segmenter_card(run)


@dataclass(frozen=True)
class EarlierVolumes:
    """A segmenter of tiles as the beginning of another."""

    network: nn.Module
    card: SegmenterCard

    @classmethod
    def of(cls, run: Path | None) -> EarlierVolumes | None:
        """Load the segmenter of a run; None for any other start."""
        card = earlier_card(run)
        return cls(*load_segmenter(run)) if run is not None and card else None

    def start(self, config: RunConfig, labelled: Collection[str]) -> Start:
        """Return its encoder, with the cohorts as it sees them."""
        card = self.card
        spacing = min(card.stored_spacing_mm) * card.factor
        cohorts = WorkingCohorts(config.cohorts, spacing)
        encoder: Any = self.network.encoder
        if card.atlas is None:
            return Start(encoder, None, card.pretrained, cohorts, None, None)
        atlas = Atlas.from_dict(card.atlas)
        placed = carry_atlas(cohorts, atlas, only=set(labelled))
        return Start(encoder, None, card.pretrained, placed.cohorts, atlas, placed)


@dataclass(frozen=True)
class EarlierSlices:
    """A segmenter of slices as the beginning of another."""

    network: nn.Module
    card: SliceSegmenterCard

    @classmethod
    def of(cls, run: Path | None) -> EarlierSlices | None:
        """Load the segmenter of a run; None for any other start."""
        card = earlier_card(run)
        return cls(*load_slice_segmenter(run)) if run is not None and card else None

    def start(self) -> SliceStart:
        """Return its encoder."""
        card, encoder = self.card, self.network.encoder
        told = (card.trunk, card.transformer, card.pretrained)
        return SliceStart(encoder, None, *told)  # type: ignore[arg-type]


Earlier = EarlierVolumes | EarlierSlices


def take_over(
    unet: nn.Module, earlier: Earlier, classes: Sequence[ClassConfig], units: str
) -> bool:
    """Give a network all that an earlier one learned.

    The scores of its last layer go by the names of the classes; those of new ones begin
    as they were made.

    Parameters
    ----------
    unet
        A new network on the encoder of the earlier one.
    earlier
        That network.
    classes
        Of the new one, without the background.
    units
        What the intensities of the labelled scans mean.

    Returns
    -------
    True: it has begun as a whole.

    Raises
    ------
    BadCohort
        If the earlier one saw other intensities.
    BadRun
        If the networks differ in more than their classes.
    """
    check_units(units, [earlier.card.units])
    found, wanted = earlier.network.state_dict(), unet.state_dict()
    rows = [(0, 0)]
    before = [one.name for one in earlier.card.classes]
    for number, one in enumerate(classes, start=1):
        if one.name in before:
            rows.append((number, 1 + before.index(one.name)))
    with torch.no_grad():
        for name in [name for name in found if name.startswith("head.")]:
            head = wanted[name].clone()
            for mine, theirs in rows:
                head[mine] = found[name][theirs]
            found[name] = head
    try:
        unet.load_state_dict(found)
    except RuntimeError:
        raise BadRun(
            "The network to go on from is another than the one that shall be trained",
            expected="the settings of the earlier run",
            next_step="Choose the preset 'planned', or start from a pre-training",
        ) from None
    return True
