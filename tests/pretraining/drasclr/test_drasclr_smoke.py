"""T13: a small training with the local loss learns to tell patients apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from scipy import ndimage

from scanlearn.anatomy.frames import frame_of_field
from scanlearn.cohort.catalogue import write_record
from scanlearn.cohort.layout import Layout, Settings, write_settings
from scanlearn.cohort.record import Intensity, ScanRecord, matrix_of
from scanlearn.cohort.store import NpyStore
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.run import parse_run_config
from scanlearn.engine.optimisers import make_optimiser
from scanlearn.pretraining.drasclr.recipe import Drasclr
from scanlearn.scans.geometry import Grid

#: The specification allows 600 steps; six times chance is reached in these.
PATIENTS, SIDE, STEPS = 40, 50, 400

RECIPE = {
    "name": "drasclr",
    "encoder": {"width": 2, "dim": 32, "experts": 2},
    "head_dim": 32,
    "landmarks": {"step_mm": 26, "at_most": 8},
    "batch": 16,
    "queue": 32,
    "neighbours": 0,
    "momentum": 0.99,
    "clean_batches": 1,
    "views": {"shift_mm": 4, "noise_hu": 20, "gamma": [0.8, 1.25]},
    "optimiser": {"name": "adamw", "learning_rate": 3e-3},
}


def write_cohort(folder: Path) -> Path:
    """Write lungs of nobody: smooth noise, coarser or finer from patient to patient."""
    layout = Layout(folder)
    layout.scans.mkdir(parents=True)
    write_settings(layout, Settings(PrepareConfig(spacing_mm=2.0)))
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = 2.0
    affine[3, 3] = 1
    grid = Grid((SIDE,) * 3, affine)
    rng = np.random.default_rng(0)
    for number in range(PATIENTS):
        noise = ndimage.gaussian_filter(rng.normal(size=grid.shape), 1 + number / 20)
        voxels = -800 + 150 * noise / noise.std() + 5 * number
        key = f"P-{number:010x}"
        record = ScanRecord(
            key=f"{key}-abcdef",
            patient=key,
            modality="CT",
            store="npy",
            dtype="int16",
            shape=grid.shape,
            spacing_mm=grid.spacing_mm,
            affine=matrix_of(grid),
            intensity=Intensity(units="HU", outside=-1024, percentiles=(0, 0, 0)),
            source_shape=grid.shape,
            source_affine=matrix_of(grid),
            source_hash=f"{number}",
            source_stamp=f"{number}",
            voxel_hash=f"{number}",
            frame=frame_of_field(grid),
        )
        NpyStore().write(layout.voxels(record.key, ".npy"), voxels.astype(np.int16))
        write_record(layout, record)
    return folder


def test_retrieval_in_the_batch_comes_to_three_times_chance(tmp_path) -> None:
    """T13: with the local loss alone, in block-scheduled visits."""
    torch.manual_seed(0)
    cohort = write_cohort(tmp_path / "cohort")
    config = parse_run_config(
        {"kind": "pretrain", "cohorts": [cohort], "recipe": RECIPE}
    )
    recipe = Drasclr(config).train()
    assert recipe.plan.visit > 1
    source = recipe.batches(0, config.engine, Accelerator(cpu=True))
    optimiser = make_optimiser(recipe.parameter_groups(), recipe.optimiser)
    told = []
    for step in range(STEPS):
        recipe.before_step(step, STEPS)
        result = recipe(next(source))
        optimiser.zero_grad()
        result.loss.backward()
        optimiser.step()
        recipe.after_step(result.carry)
        told.append(float(result.values["retrieval"]))
    assert np.mean(told[-100:]) > 3 / recipe.plan.batch
