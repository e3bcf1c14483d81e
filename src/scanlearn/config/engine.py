"""How long and on what a training runs; the same for every recipe."""

from typing import Literal

from pydantic import Field, field_validator

from scanlearn.config.base import Frozen

#: More than any training takes; twenty rounds of them are still counted everywhere.
MOST_STEPS = 100_000_000


class EngineConfig(Frozen):
    """Settings of the training loop."""

    seed: int = Field(default=0, ge=0, description="Seed of everything random")
    steps: int = Field(
        default=2000,
        ge=0,
        le=MOST_STEPS,
        description="Optimiser steps in all; where passes are given, at most so many",
    )
    # The steps of passes follow from the data when a run is made, and are written to
    # it: what is resumed is what was begun.
    passes: float | None = Field(
        default=None,
        gt=0,
        title="Passes over the data",
        description="Of a pre-training: how often it sees all data in a round",
    )
    rounds: int = Field(
        default=1,
        ge=1,
        le=20,
        description="At most: after the steps it goes on with as many again, with a "
        "warm-up and a fall of the rate, until its health is green",
    )
    minutes: float | None = Field(
        default=None,
        ge=0,
        title="Time limit (min)",
        description="Stop after this many minutes, if sooner",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="auto takes a GPU when there is one"
    )
    processes: int | None = Field(
        default=None,
        ge=1,
        description="That share each batch; if not given, one a graphics card, as far "
        "as batches divide evenly",
    )
    precision: Literal["auto", "no", "bf16", "fp16"] = Field(
        default="auto", description="Mixed precision; auto is bf16 where it pays"
    )
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads; all cores but one, if not given"
    )
    workers: int = Field(default=0, ge=0, description="Loader processes beside it")
    accumulate: int = Field(default=1, ge=1, description="Batches an optimiser step")
    clip_norm: float | None = Field(
        default=None, gt=0, description="Largest gradient norm"
    )
    log_every: int = Field(default=10, ge=1, description="Steps between curve points")
    save_every: int = Field(default=200, ge=1, description="Steps between checkpoints")
    validate_every: int = Field(
        default=100, ge=1, description="Steps between validations and health checks"
    )

    @field_validator("precision", mode="before")
    @classmethod
    def _no_is_a_word(cls, value: object) -> object:
        # YAML reads a bare "no" as false.
        return "no" if value is False else value


class OptimiserConfig(Frozen):
    """Which optimiser, how fast, and how the rate falls."""

    name: Literal["sgd", "larc", "adamw"] = Field(
        default="adamw",
        description="larc: SGD with gradients scaled to the length of the weights",
    )
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of SGD and LARC")
    warmup: float = Field(
        default=0.0, ge=0, lt=1, description="Fraction of the steps with a rising rate"
    )
    schedule: Literal["cosine", "constant"] = "cosine"
