"""A model of outcomes as files: its linear models, its encoder, how to use both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from scanlearn.config.outcome import OutcomeKind
from scanlearn.errors import BadRun
from scanlearn.files import write_text
from scanlearn.probing.describers import describer_of
from scanlearn.probing.describing import Describer, Features
from scanlearn.probing.linear import LinearModel
from scanlearn.recipes.encoder_file import load_weights, save_weights

WEIGHTS = "model.safetensors"
CARD = "model.json"


class OutcomeCard(BaseModel):
    """What a prediction must know, and how good the model was on held-out patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    task: Literal["outcome"] = "outcome"
    features: Features
    #: (S, P, L) voxel size of the cohort, where no encoder states one.
    spacing_mm: tuple[float, float, float]
    kind: OutcomeKind
    target: str
    classes: tuple[str, ...]
    covariates: tuple[str, ...]
    #: How many patients it learned from.
    patients: int
    #: Metrics by set of features, each patient by a model of the others.
    held_out: dict[str, dict[str, float]]
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
    save_weights(folder / WEIGHTS, tensors)
    write_text(folder / CARD, card.model_dump_json(indent=1))


def load_outcome(run: Path) -> tuple[Describer, dict[str, LinearModel], OutcomeCard]:
    """Load a run's models, by set of features, with what describes scans for them.

    Raises
    ------
    BadRun
        If the run has none.
    """
    path = run / "checkpoints" / CARD
    try:
        card = OutcomeCard.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadRun(
            f"{run} has no trained model ({CARD} is missing)",
            expected="a finished run of 'scanlearn finetune --task outcome'",
            next_step="Wait for it, or resume it",
        ) from None
    except ValidationError as error:
        raise BadRun(f"{path} cannot be understood: {error}") from None
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
