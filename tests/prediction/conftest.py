from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scanlearn.config.run import merge
from scanlearn.new_run import new_pretraining, pretraining_config
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.folder import RunFolder
from scanlearn.worker import learned_by

SMALL = {
    "spacing_mm": None,
    "encoder": {"width": 2, "dim": 8, "experts": 2},
    "head_dim": 8,
    "landmarks": {"at_most": 5, "patch_mm": 64.0},
    "batch": 4,
}


@pytest.fixture(scope="session")
def untrained(
    tiny_cohort: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., RunFolder]:
    """Return a function that writes an untrained encoder of the four phantoms."""
    runs = tmp_path_factory.mktemp("untrained")

    def make(name: str, **recipe: object) -> RunFolder:
        config = pretraining_config(
            [tiny_cohort],
            method=method_named("drasclr"),
            preset_name="quick",
            changes={"recipe": merge(SMALL, recipe)},
        )
        run = new_pretraining(method_of(config), config, runs / name)
        torch.manual_seed(0)
        learned_by(config).learn(config, run).export(run.checkpoints, step=0)
        return run

    return make


@pytest.fixture(scope="session")
def encoder_run(untrained: Callable[..., RunFolder]) -> RunFolder:
    """Return a run with the release's architecture, untrained; not to be changed."""
    return untrained("release")


@pytest.fixture(scope="session")
def slice_run(
    mixed_cohorts: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """Return a joint run of CT, MR and radiographs, untrained; not to be changed.

    Its card says that the transformer was trained, so that volumes have a vector.
    """
    config = pretraining_config(
        mixed_cohorts,
        method=method_named("joint"),
        preset_name="quick",
        changes={
            "recipe": {
                "trunk": {"width": 4},
                "transformer": {"dim": 8, "layers": 1},
                "image_side": 16,
                "image_crop": 16,
                "slice_side": 16,
                "slices": 6,
            }
        },
    )
    run = new_pretraining(
        method_of(config), config, tmp_path_factory.mktemp("joint") / "run"
    )
    torch.manual_seed(0)
    learned_by(config).learn(config, run).export(
        run.checkpoints, step=config.engine.steps
    )
    return run
