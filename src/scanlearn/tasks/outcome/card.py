"""A model of outcomes as files: its linear models, its encoder, how to use both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter

from scanlearn.config.class_name import ClassName
from scanlearn.config.outcome import OutcomeKind
from scanlearn.encoders.encoder_file import load_weights
from scanlearn.features.describer import Describer, Features
from scanlearn.features.describer_choice import describer_of
from scanlearn.features.linear import LinearModel
from scanlearn.tasks.outcome.survival import Baseline
from scanlearn.tasks.shared.model_file import WEIGHTS, read_model_card, save_model


class OutcomeCard(BaseModel):
    """What a prediction must know, and how good the model was on held-out patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    task: Literal["outcome"] = "outcome"
    features: Features
    #: (S, P, L) voxel size of the cohort, where no encoder states one.
    spacing_mm: tuple[float, float, float]
    kind: OutcomeKind
    target: ClassName
    classes: tuple[ClassName, ...]
    covariates: tuple[ClassName, ...]
    #: How many patients it learned from.
    patients: int
    #: Metrics by set of features, each patient by a model of the others.
    held_out: dict[str, dict[str, float]]
    #: Of a number: what nine of ten held-out patients were missed by at most; None
    #: where they were too few to say.
    error_90: float | None = None
    #: The same of the model that takes the covariates, too; older files do not say.
    error_90_with_covariates: float | None = None
    #: By set of features: what the patients it learned from have, in order. Of a number
    #: their numbers, of survival their relative risks. Older files have none.
    cohort: dict[str, tuple[float, ...]] = {}
    #: By set of features, of survival.
    baselines: dict[str, Baseline] = {}
    pretrained: str = ""


def save_outcome(
    folder: Path, models: Mapping[str, LinearModel], card: OutcomeCard
) -> None:
    """Write both files into a run's ``checkpoints/``."""
    tensors = {
        f"{name}/{part}": torch.from_numpy(x)
        for name, model in models.items()
        for part, x in model.tensors().items()
    }
    save_model(folder, tensors, card)


def read_outcome_card(run: Path) -> OutcomeCard:
    """Read a run's ``model.json``, or say that it has no such model yet."""
    return read_model_card(run, TypeAdapter(OutcomeCard), task="outcome")


def load_outcome(run: Path) -> tuple[Describer, dict[str, LinearModel], OutcomeCard]:
    """Load a run's models, by set of features, with what describes scans for them.

    Raises
    ------
    BadRun
        If the run has none.
    """
    card = read_outcome_card(run)
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for name, x in load_weights(run / "checkpoints" / WEIGHTS).items():
        of, part = name.split("/")
        parts.setdefault(of, {})[part] = x
    models = {
        name: LinearModel(**{part: x.double().numpy() for part, x in some.items()})
        for name, some in parts.items()
    }
    describer = describer_of(card.features, run, 0.0, card.spacing_mm)
    return describer, models, card
