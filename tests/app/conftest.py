from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState, GradientState

from scanlearn.new_run import new_pretraining, pretraining_config
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.folder import RunFolder

Make = Callable[..., RunFolder]


@pytest.fixture(autouse=True)
def _own_process():
    """Undo what a training sets for the whole process it runs in."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(scope="session")
def pretraining(tiny_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that writes a pre-training run of seconds."""
    runs = tmp_path_factory.mktemp("runs")

    def make(
        name: str,
        *,
        cohort: Path = tiny_cohort,
        recipe: dict[str, object] = {},  # noqa: B006 - only read
        **engine: object,
    ) -> RunFolder:
        changes = {"recipe": SMALL_DRASCLR | recipe, "engine": SMALL_ENGINE | engine}
        config = pretraining_config(
            [cohort],
            method=method_named("drasclr"),
            preset_name="quick",
            changes=changes,
        )
        return new_pretraining(method_of(config), config, runs / name)

    return make


SMALL_DRASCLR = {
    "spacing_mm": None,
    "encoder": {"width": 2, "dim": 8, "experts": 2},
    "head_dim": 8,
    "landmarks": {"at_most": 6, "patch_mm": 64.0},
    "batch": 4,
    "momentum": 0.9,
}
SMALL_ENGINE = {
    "steps": 32,
    "device": "cpu",
    "precision": "no",
    "threads": 1,
    "save_every": 5,
    "validate_every": 4,
    "log_every": 2,
}
