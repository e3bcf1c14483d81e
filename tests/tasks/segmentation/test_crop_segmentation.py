"""Slices in crops of their own pixels: data, learning, other scans, and resuming."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.engine.checkpoints import Checkpoints
from scanlearn.metrics.overlap import dice
from scanlearn.new_run import finetuning_config, new_finetuning
from scanlearn.runs.events import Finished, Health, Stopped
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.segmentation.crop_segmentation import CropSegmentation
from scanlearn.tasks.segmentation.learn import segmentation_recipe
from scanlearn.tasks.segmentation.segmenter import SliceSegmenter, segmenter_of
from scanlearn.tasks.shared.label_maps import collect_labels
from scanlearn.tasks.task import PlanRequest
from scanlearn.worker import train_run

PATIENTS = 5
#: Sagittal sheets, eight times as thick as a pixel is wide.
AFFINE = np.diag([-8.0, -1.0, 1.0, 1.0])


def patient(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return grey values and labels (R, A, S axes): a disc with a bright core."""
    rng = np.random.default_rng(number)
    shape = (6, 56, 60)
    _, y, z = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    centre = rng.uniform(22, 34, size=2)
    away = np.hypot(y - centre[0], z - centre[1])
    labels = np.where(away < 6, 2, np.where(away < 13, 1, 0)).astype(np.uint8)
    labels[[0, -1]] = 0
    image = np.select([labels == 2, labels == 1], [460.0, 330.0], 200.0)
    return (image + rng.normal(0, 60, shape)).astype(np.float32), labels


@pytest.fixture(scope="module")
def base(home, tmp_path_factory) -> Path:
    """Return a folder with scans, labels of two patients, and a cohort."""
    base = tmp_path_factory.mktemp("discs")
    for folder in ("scans", "labels", "truth"):
        (base / folder).mkdir()
    for number in range(PATIENTS):
        image, labels = patient(number)
        name = f"patient{number}.nii.gz"
        nib.save(nib.Nifti1Image(image, AFFINE), base / "scans" / name)
        for folder in ("truth", "labels") if number < 2 else ("truth",):
            nib.save(nib.Nifti1Image(labels, AFFINE), base / folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(home))
        prepare(base / "scans", base / "cohort", PrepareConfig(workers=0))
    return base


def launch(base: Path, out: Path, *, steps: int, **recipe) -> RunFolder:
    """Write a run as planned, but small and fast."""
    small = {"width": 4, "crop": 32, "batch": 6, "optimiser": {"learning_rate": 6e-3}}
    changes = {
        "recipe": {**small, **recipe},
        "engine": {
            "steps": steps,
            "threads": 1,
            "device": "cpu",
            "precision": "no",
            "log_every": 1,
            "save_every": 1000,
            "validate_every": 1000,
        },
    }
    labels = collect_labels(base / "labels", Cohort(base / "cohort"))
    task = task_named("segmentation")
    plan = task.plan(PlanRequest(base / "cohort", changes=changes, labels=labels))
    config = finetuning_config(
        [base / "cohort"],
        task=task,
        preset_name="planned",
        start_from=None,
        changes=changes,
        plan=plan,
    )
    return new_finetuning(config, labels, out)


def recipe_of(run: RunFolder) -> CropSegmentation:
    torch.manual_seed(0)
    made = segmentation_recipe(run.config(), run)
    assert isinstance(made, CropSegmentation)
    return made


def scores(base: Path, run: RunFolder, numbers: range) -> np.ndarray:
    """Return the Dice (patients, 2) on the scans' own grid."""
    segmenter, found = segmenter_of(run.path), []
    assert isinstance(segmenter, SliceSegmenter)
    for number in numbers:
        (entry,) = find_scans(base / "scans" / f"patient{number}.nii.gz")
        guess = segmenter.segment(read_scan(entry)).labels
        truth = nib.load(base / "truth" / f"patient{number}.nii.gz").get_fdata()
        assert guess.shape == truth.shape
        found.append([dice(truth == value, guess == value) for value in (1, 2)])
    return np.array(found)


def test_thick_sheets_are_planned_as_slices_across_their_own_axis(base, tmp_path):
    config = launch(base, tmp_path / "run", steps=4).config()
    assert config.preset == "planned"
    assert (config.recipe.dimensions, config.recipe.slice_axis) == (2, 2)
    assert config.recipe.unlabelled  # two labelled patients, three without
    assert config.recipe.validation == 0


def test_crops_show_a_slice_with_its_labels(base, tmp_path, accelerator) -> None:
    run = launch(base, tmp_path / "run", steps=4, augment=False, unlabelled=False)
    recipe = recipe_of(run)
    source = recipe.batches(0, run.config().engine, accelerator)
    several = list(islice(source, 12))
    classes = set()
    for batch in several:
        assert batch["image"].shape == batch["labels"].shape == (6, 32, 32)
        image, labels = batch["image"], batch["labels"]
        for inner, outer in ((2, 1), (1, 0)):
            if (labels == inner).any() and (labels == outer).any():
                bright = float(image[labels == inner].median())
                assert bright > float(image[labels == outer].median())
        classes |= set(labels.unique().tolist())
    assert classes == {0, 1, 2}
    again = next(recipe.batches(7, run.config().engine, accelerator))
    for name, value in again.items():
        assert torch.equal(value, several[7][name])


def test_a_training_from_scratch_outlines_patients_it_has_not_seen(base, tmp_path):
    """Guessing, the discs of one patient laid on another, gives half as much."""
    run = launch(base, tmp_path / "run", steps=300, unlabelled=False, stride=2)
    assert isinstance(list(train_run(run))[-1], Finished)
    found = scores(base, run, range(2, PATIENTS))
    truths = [patient(number)[1] for number in range(PATIENTS)]
    guesses = [
        [dice(truths[n] == value, truths[0] == value) for value in (1, 2)]
        for n in range(2, PATIENTS)
    ]
    assert found.mean() > 0.75
    assert found.mean() > np.mean(guesses) + 0.2
    card = segmenter_of(run.path).card
    assert (card.whole, card.together) == ((1, 2), True)
    assert (card.crops, card.stride) == (True, 2)


def test_scans_without_labels_are_labelled_rightly_and_learned_from(base, tmp_path):
    run = launch(base, tmp_path / "run", steps=600, unlabelled=True)
    events = list(train_run(run))
    assert isinstance(events[-1], Finished)
    recipe = recipe_of(run)
    assert recipe.others is not None
    assert len(recipe.others.numbers) == 3
    truths = collect_labels(base / "truth", Cohort(base / "cohort")).items
    truth_of = {item.scan: item.read() for item in truths}
    learned = recipe.others.scans()
    assert len(learned) == 3
    for scan in learned:
        truth = truth_of[recipe.cohorts.scans[scan.number].key]
        assert dice(scan.labels == 1, truth == 1) > 0.7
    assert scores(base, run, range(2, PATIENTS)).mean() > 0.75
    health = recipe.health(600)
    assert isinstance(health, Health)
    assert "labelled 3 of 3" in health.sentence


def test_half_of_each_batch_is_of_each_kind(base, tmp_path, accelerator) -> None:
    run = launch(base, tmp_path / "run", steps=20, unlabelled=True, augment=False)
    recipe = recipe_of(run)
    assert recipe.starts(20) == (0, 10)
    seen = []
    read = recipe.cohorts.read
    recipe.cohorts.read = lambda number, *box: seen.append(number) or read(number, *box)
    mine = {scan.number for scan in recipe.training_scans}
    source = recipe.batches(8, run.config().engine, accelerator)
    for _ in range(2):
        next(source)
    assert set(seen) <= mine
    truth = {scan.number: scan.labels for scan in recipe.training_scans}
    some = next(iter(truth.values()))
    recipe.others.label(lambda _number: some, recipe.training_scans)
    seen.clear()
    next(source)
    assert [number in mine for number in seen] == [True, False] * 3


@pytest.mark.parametrize("cuts", [(7,), (8,), (9, 12)])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(base, tmp_path, cuts) -> None:
    """Before, at and after the step at which it labels the other scans."""
    whole = launch(base, tmp_path / "whole", steps=16, unlabelled=True)
    list(train_run(whole))
    run = launch(base, tmp_path / "cut", steps=16, unlabelled=True)
    for cut in cuts:
        for event in train_run(run):
            if event.kind == "step" and event.step >= cut:
                run.request_stop()
        assert isinstance(event, Stopped)
        assert event.step == cut
        run.stop_file.unlink(missing_ok=True)
        # A new process builds a new recipe; what lies in the folder is all it has.
        shutil.copytree(run.path, tmp_path / f"copy{cut}")
        run = RunFolder(tmp_path / f"copy{cut}")
    assert isinstance(list(train_run(run))[-1], Finished)
    mine, theirs = (Checkpoints(one.checkpoints).load("last") for one in (run, whole))
    assert mine["recipe"].keys() == theirs["recipe"].keys()
    for name, value in mine["recipe"].items():
        assert torch.equal(value, theirs["recipe"][name]), name
    assert any(name.startswith("average.") for name in mine["recipe"])
