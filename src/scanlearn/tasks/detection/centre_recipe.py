"""What both detectors share: who is held out, what is frozen, the losses of a map."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from scanlearn.config.detection import DetectionConfig
from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.engine.recipe import StepResult
from scanlearn.errors import BadLabels
from scanlearn.metrics.average_precision import OVERLAPS, Scored, average_precision
from scanlearn.metrics.froc import Judged, froc
from scanlearn.nets.centre_map import Cells, centre_loss, centre_targets
from scanlearn.nets.location_detector import LocationDetector
from scanlearn.nets.slice_detector import SliceDetector
from scanlearn.tasks.detection.finding_set import FindingSet, LabelledFindings
from scanlearn.tasks.shared.encoder_start import rated_groups
from scanlearn.tasks.shared.held_out import hold_out
from scanlearn.tasks.shared.viewed_recipe import ViewedRecipe

#: Patients from which some are held out: fewer have too few findings to choose by.
_ENOUGH_PATIENTS = 10

_Sample = TypeVar("_Sample")
_Detector = TypeVar("_Detector", LocationDetector, SliceDetector)


class CentreRecipe(ViewedRecipe, Generic[_Detector]):
    """A detector that learns a centre map on an encoder.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`DetectionConfig`.
    network
        The detector on its encoder, which is frozen where the settings say so.
    pretrained
        Name of the run the encoder was trained in; empty for a fresh one.
    """

    score = "ap"

    def __init__(
        self, config: RunConfig, network: _Detector, *, pretrained: str
    ) -> None:
        super().__init__(config.engine.seed)
        self.config = config.section(DetectionConfig)
        self.network: _Detector = network
        self.pretrained = pretrained
        if self.is_frozen:
            network.encoder.requires_grad_(False)

    @property
    def is_frozen(self) -> bool:
        """Whether the encoder stays as it is."""
        return self.config.encoder == "frozen"

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the decoder, and unless it is frozen the encoder at its own rate."""
        rate = self.config.encoder_rate if self.pretrained else 1.0
        head, encoder = rated_groups(self.network, self.network.encoder, rate=rate)
        return [head] if self.is_frozen else [head, encoder]

    def train(self, mode: bool = True) -> Self:
        """Train; the statistics of a frozen encoder stay those of its pre-training."""
        super().train(mode)
        if self.is_frozen:
            self.network.encoder.eval()
        return self

    def losses(self, maps: Tensor, objects: Tensor, cells: Cells) -> StepResult:
        """Return the losses of heat, offsets and sizes of some samples.

        Parameters
        ----------
        maps
            (B, C, *cells) of the network.
        objects
            (B, K, n + s) as :func:`centre_targets` takes them.
        cells
            How cells lie.
        """
        targets = centre_targets(objects, tuple(maps.shape[2:]), cells)
        found = centre_loss(maps, targets, hardest=self.config.hardest)
        return StepResult(
            loss=torch.stack(list(found.values())).sum(),
            values={name: loss.detach() for name, loss in found.items()},
        )

    def learned_from(
        self, counts: list[int], patients: Collection[str], *, held_out: int
    ) -> str:
        """Say what there is to learn from; ``counts`` are the findings of each scan."""
        text = (
            f"{sum(counts)} labelled {self.config.finding}s in {len(counts)} scans of "
            f"{len(set(patients))} patients, {counts.count(0)} without any; "
            f"{held_out} scans held out."
        )
        if self.is_frozen:
            text += " The encoder stays as it is."
        return text


def validated(judged: Sequence[Judged], scored: Sequence[Scored]) -> dict[str, float]:
    """Return average precision (over overlaps) and CPM; nothing without findings."""
    curve = froc(judged)
    if curve is None:
        return {}
    aps = [average_precision(scored, overlap=overlap) for overlap in OVERLAPS]
    return {"ap": float(np.mean([ap or 0.0 for ap in aps])), "cpm": curve.cpm}


def split_findings(
    labels: FindingSet,
    usable: Collection[str],
    make: Callable[[LabelledFindings], _Sample],
    *,
    share: float,
    seed: int,
) -> tuple[list[_Sample], list[_Sample]]:
    """Split as the table says, else by patient; a test part is left alone.

    Parameters
    ----------
    labels
        Of some scans.
    usable
        Keys of the scans that the network can be given.
    make
        Makes what a training works with of one labelled scan.
    share, seed
        See :func:`hold_out`.

    Raises
    ------
    BadLabels
        If a labelled scan cannot be used, or there is nothing to learn from.
    """
    missing = [item.scan for item in labels.items if item.scan not in usable]
    if missing:
        raise BadLabels(
            f"The labelled scan {missing[0]} is not in the cohort, is excluded, or "
            "the encoder's atlas does not fit it",
            next_step="Look at the scan; include it again, or launch the training "
            "without it",
        )
    items = [item for item in labels.items if item.split != "test"]
    train, held_out = hold_out(items, share=share, seed=seed, enough=_ENOUGH_PATIENTS)
    if not any(len(item.objects) for item in train):
        raise BadLabels(
            f"None of the {len(train)} scans to train on has a labelled finding",
            expected="at least one finding outside the held-out and test scans",
            next_step="Label more scans, or set validation=0",
        )
    return [make(item) for item in train], [make(item) for item in held_out]
