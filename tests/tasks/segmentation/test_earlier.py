"""A segmentation that goes on from another one, with other labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadRun
from scanlearn.new_run import finetuning_config, labels_for, new_finetuning
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.segmentation.learn import segmentation_recipe
from scanlearn.tasks.shared.start_fits import misfit
from scanlearn.tasks.shared.suggestion import suggest
from scanlearn.tasks.task import PlanRequest

AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])

VOLUMES = {"dimensions": 3, "width": 2, "stride": 2, "batch": 2}
CROPS = {"dimensions": 2, "width": 4, "crop": 32, "batch": 4}


@pytest.fixture(scope="module")
def base(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a cohort of three, labels of one, and more of another."""
    base = tmp_path_factory.mktemp("blocks")
    for folder in ("scans", "first", "second"):
        (base / folder).mkdir()
    for number in range(3):
        hu = np.full((36, 36, 36), -1000.0)
        labels = np.zeros(hu.shape, np.uint8)
        labels[8 + number : 18, 8:18, 8:18] = 3
        labels[20:28, 20:28, 20 + number : 28] = 7
        hu[labels == 3], hu[labels == 7] = 200.0, -300.0
        name = f"patient{number}.nii.gz"
        scan = nib.Nifti1Image(hu.astype(np.int16), AFFINE)
        nib.save(scan, base / "scans" / name)
        first = np.where(labels == 3, 3, 0).astype(np.uint8)
        if number == 0:
            nib.save(nib.Nifti1Image(first, AFFINE), base / "first" / name)
        if number < 2:
            nib.save(nib.Nifti1Image(labels, AFFINE), base / "second" / name)
    (base / "first" / "classes.json").write_text('{"3": "bone"}')
    (base / "second" / "classes.json").write_text('{"3": "bone", "7": "fat"}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(home))
        config = PrepareConfig(spacing_mm=4.0, workers=0)
        prepare(base / "scans", base / "cohort", config)
    return base


def launch(
    base: Path, labels: str, out: Path, start: Path | None = None, **recipe: Any
):
    """Write a run as the doors do, and make its recipe."""
    changes = {"recipe": recipe, "engine": {"threads": 1}}
    task = task_named("segmentation")
    plan = task.plan(PlanRequest(base / "cohort", start_from=start, changes=changes))
    config = finetuning_config(
        [base / "cohort"],
        task=task,
        preset_name="planned",
        start_from=start,
        changes=changes,
        plan=plan,
    )
    found = labels_for(task, config, base / labels)
    run = new_finetuning(config, found, out)
    torch.manual_seed(1 if start else 0)
    return segmentation_recipe(config, run), run, plan


@pytest.mark.parametrize("settings", [VOLUMES, CROPS], ids=["volumes", "crops"])
def test_all_that_was_learned_is_taken_over_and_new_classes_are_new(
    base: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    before, first, _ = launch(base, "first", tmp_path / "lungs", **settings)
    before.export(first.checkpoints, step=1)
    # Nothing but the start is said: what the network needs stays as it was.
    after, second, plan = launch(base, "second", tmp_path / "again", first.path)
    assert type(after) is type(before)
    assert "Goes on from lungs" in plan.sentences()[0]
    assert after.started_whole
    assert [one.name for one in after.classes] == ["bone", "fat"]
    old, new = before.trained.state_dict(), after.unet.state_dict()
    assert set(old) == set(new)
    for name, weights in new.items():
        if name.startswith("head."):
            assert torch.equal(weights[:2], old[name])  # background and bone
            assert len(weights) == 3
        else:
            assert torch.equal(weights, old[name])
    # And the next one goes on from that.
    after.export(second.checkpoints, step=2)
    third, *_ = launch(base, "second", tmp_path / "third", second.path)
    for name, weights in third.unet.state_dict().items():
        assert torch.equal(weights, new[name])


def test_other_tasks_cannot_go_on_from_it(base: Path, tmp_path: Path) -> None:
    recipe, run, _ = launch(base, "first", tmp_path / "lungs", **VOLUMES)
    recipe.export(run.checkpoints, step=1)
    for name, fits in (("segmentation", True), ("texture", False)):
        why = misfit(task_named(name), run.path, radiographs=False)
        assert (why == "") == fits
        assert fits or "it learned segmentation" in why
    assert misfit(task_named("segmentation"), run.path, radiographs=True)
    task = task_named("detection")
    config = finetuning_config(
        [base / "cohort"], task=task, preset_name="quick", start_from=run.path
    )
    with pytest.raises(BadRun, match="cannot go on"):
        labels_for(task, config, base / "first")


def test_scans_are_suggested_through_runs_that_go_on(
    base: Path, tmp_path: Path
) -> None:
    recipe, first, _ = launch(base, "first", tmp_path / "lungs", **VOLUMES)
    recipe.export(first.checkpoints, step=1)
    recipe, second, _ = launch(base, "second", tmp_path / "again", first.path)
    recipe.export(second.checkpoints, step=2)
    task = task_named("segmentation")
    run = RunFolder(second.path)
    (found,) = suggest(task, run, base / "cohort", count=2)
    labelled = json.loads((second.inputs / "classes.json").read_text())["scans"]
    assert {found.key} == set(Cohort(base / "cohort").keys()) - set(labelled)
