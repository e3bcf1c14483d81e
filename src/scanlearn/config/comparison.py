"""Settings of a comparison: what pre-training is worth at each number of labels."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from scanlearn.config.base import Frozen
from scanlearn.config.run import explain
from scanlearn.errors import BadConfig


class ComparisonConfig(Frozen):
    """The same training from a pre-trained encoder and from an untrained twin."""

    format: Literal[1] = 1
    task: str
    preset: str = "standard"
    cohort: Path
    start_from: Path = Field(description="The pre-training that is asked about")
    budgets: tuple[int, ...] = Field(
        default=(),
        description="Labelled patients a training; as the labels allow when empty",
    )
    repeats: int = Field(
        default=5, ge=1, description="Trainings of each arm at each budget"
    )
    test: float = Field(
        default=0.3, gt=0, lt=1, description="Share of labelled patients held out"
    )
    seed: int = Field(default=0, ge=0, description="Of the draws of patients")
    changes: dict[str, Any] = Field(
        default={}, description="Settings of every training, over the preset's"
    )

    @field_validator("budgets")
    @classmethod
    def _rising(cls, budgets: tuple[int, ...]) -> tuple[int, ...]:
        if any(budget < 1 for budget in budgets):
            raise ValueError("budgets are numbers of patients, from 1 up")
        return tuple(sorted(set(budgets)))

    @model_validator(mode="after")
    def _same_for_all(self) -> Self:
        if "seed" in self.changes.get("engine", {}):
            raise ValueError("every repeat has a seed of its own; set 'seed' instead")
        return self


def parse_comparison(data: dict[str, Any]) -> ComparisonConfig:
    """Check settings; a :class:`BadConfig` names the first that is wrong."""
    try:
        return ComparisonConfig.model_validate(data)
    except ValidationError as error:
        raise BadConfig(explain(error), next_step="Correct it") from None
