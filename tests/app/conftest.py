from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState, GradientState

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.run import merge
from scanlearn.engine.recipe import Recipe
from scanlearn.new_run import (
    finetuning_config,
    labels_for,
    new_finetuning,
    new_pretraining,
    pretraining_config,
)
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.randomness import seed_everything
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.shared.label_maps import collect_labels
from scanlearn.worker import learned_by

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

ENGINE = {
    "steps": 20,
    "passes": None,
    "rounds": 1,
    "device": "cpu",
    "precision": "no",
    "threads": 1,
    "log_every": 1,
    "save_every": 100,
    "validate_every": 100,
}
# Adaptive steps would make rounding of gradients that are zero as large as any step.
# And batch norms of a few numbers multiply rounding, so that after large steps no two
# trainings are alike (in double precision these are, to 1e-12, at any rate).
SLOW = {"name": "sgd", "learning_rate": 1e-5, "schedule": "constant", "warmup": 0.0}

DRASCLR: dict[str, Any] = {
    "spacing_mm": None,
    "encoder": {"width": 2, "dim": 8, "experts": 2, "knee_hu": None},
    "head_dim": 8,
    "landmarks": {"at_most": 6, "patch_mm": 64.0},
    "views": {"noise_probability": 0.5, "gamma_probability": 0.5},
    "batch": 16,
    "momentum": 0.9,
    "neighbours": 0,
    "clean_batches": 1,
    "dense": 0.0,
    "optimiser": SLOW,
}
JOINT: dict[str, Any] = {
    "trunk": {"architecture": "small", "width": 4},
    "transformer": {
        "dim": 8,
        "layers": 1,
        "heads": 2,
        "head_width": 8,
        "hidden": 12,
        "stride": 2,
        "kernel": 4,
        "reach": 1.0,
        "dropout": 0.0,
    },
    "image_side": 32,
    "image_crop": 24,
    "slice_side": 24,
    "slices": 8,
    "images_a_volume": 4,
    "head_dim": 8,
    "batch": 8,
    "volume_batch": 4,
    "images": {"clusters": 8, "samples_a_cluster": 4, "freeze_steps": 2},
    "volumes": {"clusters": 4, "samples_a_cluster": 2, "freeze_steps": 2},
    "stages": {"warm": 8, "mask": 4, "joint": 8},
    "clean_images": 4,
    "dense": 0.0,
    "optimiser": SLOW,
}


def written(cohorts: list[Path], out: Path, name: str, recipe: dict) -> RunFolder:
    config = pretraining_config(
        cohorts,
        method=method_named(name),
        preset_name="quick",
        changes={"recipe": recipe, "engine": ENGINE},
    )
    return new_pretraining(method_of(config), config, out)


def labelled(
    cohort: Path, out: Path, task: str, labels: Path, start: Path | None, **recipe: Any
) -> RunFolder:
    config = finetuning_config(
        [cohort],
        task=task_named(task),
        preset_name="quick",
        start_from=start,
        changes={"recipe": {"optimiser": SLOW} | recipe, "engine": ENGINE},
    )
    found = (
        collect_labels(labels, Cohort(cohort))
        if task == "segmentation"
        else labels_for(task_of(config), config, labels)
    )
    return new_finetuning(config, found, out)


@pytest.fixture(scope="session")
def every_recipe(
    tiny_cohort: Path,
    tiny_sample: Path,
    films: Path,
    mixed_cohorts: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, RunFolder]:
    """Return a run of each recipe, not trained yet, by what it learns from.

    Of those that are trained step by step; for 20 steps. Not to be changed: copy them.
    """
    base = tmp_path_factory.mktemp("recipes")
    made: dict[str, RunFolder] = {}
    for name, changes in {
        "patches": {"queue": 0, "in_batch": True, "neighbours": 2}
        | {"dense": 1.0, "voxels": {"batch": 2, "clusters": 4}},
        "patches queue": {"queue": 8, "in_batch": False, "queue_precision": "fp32"},
    }.items():
        recipe = merge(DRASCLR, changes)
        made[name] = written([tiny_cohort], base / name, "drasclr", recipe)
    for name, changes in {
        "slices swav": {"clustering": "swav", "images": {"queue": 16}}
        | {"dense": 1.0, "pixels": {"batch": 4, "crop": 32}},
        "slices deepcluster": {"clustering": "deepcluster"},
    }.items():
        recipe = merge(JOINT, changes)
        made[name] = written(mixed_cohorts, base / name, "joint", recipe)
    patches = base / "patch encoder"
    start = written([tiny_cohort], patches, "drasclr", DRASCLR)
    untrained(start)
    slices = base / "slice encoder"
    untrained(written([tiny_cohort], slices, "joint", JOINT))
    lungs = tiny_sample / "labels" / "lungs"
    unet = {"spacing_mm": None, "batch": 4, "width": 2, "tile": 32, "validation": 0}

    def finetuned(name: str, task: str, labels: Path, *of: Any, **recipe: Any) -> None:
        cohort = films / "cohort" if labels.parent == films else tiny_cohort
        found = labelled(cohort, base / name, task, labels, *of, **recipe)
        made[name] = found

    finetuned("volumes", "segmentation", lungs, patches, **unet, strength="medium")
    finetuned("whole slices", "segmentation", lungs, slices, side=32, batch=8)
    finetuned("crops", "segmentation", lungs, slices, crop=32, batch=4, dimensions=2)
    finetuned("spheres", "detection", tiny_sample / "nodules.csv", patches, batch=2)
    finetuned(
        "boxes",
        "detection",
        films / "boxes.csv",
        None,
        **{"side": 64, "crop": 64, "batch": 4},
        trunk={"architecture": "small", "width": 4},
    )
    return made


def untrained(run: RunFolder) -> Recipe:
    """Return what a run begins with, and export it."""
    seed_everything(0, "initial weights")
    recipe = learned_by(run.config()).learn(run.config(), run)
    assert isinstance(recipe, Recipe)
    recipe.export(run.checkpoints, step=1)
    return recipe
