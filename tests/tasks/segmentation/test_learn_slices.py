"""Segmentation on an encoder of slices: labels, stacks, learning, and prediction."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.encoders.decoder_file import DECODER
from scanlearn.encoders.encoder_file import (
    load_slice_encoder,
    load_weights,
    read_card,
)
from scanlearn.engine.optimisers import make_optimiser
from scanlearn.errors import BadCohort
from scanlearn.nets.segmentation_loss import IGNORE
from scanlearn.new_run import (
    finetuning_config,
    new_finetuning,
    new_pretraining,
    pretraining_config,
)
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.segmentation.crop_segmentation import CropSegmentation
from scanlearn.tasks.segmentation.learn import segmentation_recipe
from scanlearn.tasks.segmentation.learn_slices import SliceSegmentation
from scanlearn.tasks.segmentation.segmenter import SliceSegmenter, segmenter_of
from scanlearn.tasks.shared.label_maps import collect_labels
from scanlearn.worker import learned_by

PATIENTS = 6
AFFINE = np.diag([-4.0, -4.0, 6.0, 1.0])


@pytest.fixture(autouse=True)
def _own_accelerator():
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def patient(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return HU and labels (R, A, S axes): a dense organ in water, and a soft one."""
    rng = np.random.default_rng(number)
    hu = np.full((36, 32, 10), -1000.0)
    hu[3:-3, 3:-3] = 0.0
    labels = np.zeros(hu.shape, np.uint8)
    x, y = rng.integers(5, 9, size=2)
    labels[x : x + 9, y : y + 9, 2:8] = 3
    labels[x + 13 : x + 20, y + 10 : y + 17, 3:7] = 7
    hu[labels == 3] = 200.0
    hu[labels == 7] = -300.0
    return (hu + rng.normal(0, 20, hu.shape)).astype(np.int16), labels


@pytest.fixture(scope="module")
def base(home, tmp_path_factory) -> Path:
    """Return a folder with scans, labels, a cohort, and an encoder of its slices."""
    base = tmp_path_factory.mktemp("organs")
    for folder in ("scans", "labels"):
        (base / folder).mkdir()
    for number in range(PATIENTS):
        hu, labels = patient(number)
        name = f"patient{number}.nii.gz"
        nib.save(nib.Nifti1Image(hu, AFFINE), base / "scans" / name)
        nib.save(nib.Nifti1Image(labels, AFFINE), base / "labels" / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(home))
        config = PrepareConfig(spacing_mm=(6.0, 4.0, 4.0), workers=0)
        prepare(base / "scans", base / "cohort", config)
    # Most is asked of a U-Net whose decoder is new: that is harder to learn.
    write_encoder(base, "encoder", dense=0.0)
    return base


def write_encoder(base: Path, name: str, **changes) -> Path:
    """Write a run as of a pre-training that has learned nothing yet."""
    small = {"trunk": {"width": 4}, "transformer": {"dim": 8, "layers": 1}}
    encoder = pretraining_config(
        [base / "cohort"],
        method=method_named("joint"),
        preset_name="quick",
        changes={"recipe": small | changes},
    )
    run = new_pretraining(method_of(encoder), encoder, base / name)
    torch.manual_seed(0)
    learned_by(encoder).learn(encoder, run).export(run.checkpoints, step=1)
    return run.path


def make(
    base: Path, out: Path, *, start: str | Path = "encoder", **changes
) -> tuple[SliceSegmentation, RunFolder]:
    recipe = {"side": 32, "neighbours": 2, "batch": 8} | changes
    config = finetuning_config(
        [base / "cohort"],
        task=task_named("segmentation"),
        preset_name="quick",
        start_from=base / start,
        changes={"recipe": recipe, "engine": {"threads": 1}},
    )
    labels = collect_labels(base / "labels", Cohort(base / "cohort"), labelling="auto")
    run = new_finetuning(config, labels, out)
    torch.manual_seed(0)
    made = learned_by(config).learn(config, run)
    assert isinstance(made, SliceSegmentation)
    return made, run


def test_stacks_show_slices_with_their_labels(base, tmp_path) -> None:
    recipe, _ = make(base, tmp_path / "run", context=True)
    engine = finetuning_config(
        ["cohort"],
        task=task_named("segmentation"),
        preset_name="quick",
        start_from=None,
    ).engine
    accelerator = Accelerator(cpu=True)
    several = list(islice(recipe.batches(0, engine, accelerator), 20))
    classes = set()
    for batch in several:
        assert batch["image"].shape == batch["labels"].shape == (4, 2, 32, 32)
        assert batch["hu"].all()
        image, labels = batch["image"], batch["labels"]
        # Dense tissue is bright, soft is darker than water, whatever the slice.
        for value, low, high in ((1, 1150, 1264), (2, 600, 850)):
            if (labels == value).sum() > 20:
                assert low < float(image[labels == value].median()) < high
        classes |= set(labels.unique().tolist())
    assert classes == {0, 1, 2, IGNORE}
    again = next(recipe.batches(7, engine, accelerator))
    for name, value in again.items():
        assert torch.equal(value, several[7][name])


def test_without_a_context_every_slice_is_drawn_for_itself(base, tmp_path) -> None:
    recipe, run = make(base, tmp_path / "run", side=None)
    batch = next(recipe.batches(0, run.config().engine, Accelerator(cpu=True)))
    longest = max(max(scan.labels.shape[1:]) for scan in recipe.training_scans)
    assert recipe.side - 32 < longest <= recipe.side
    assert batch["image"].shape == (8, 1, recipe.side, recipe.side)
    found = run.path / "checkpoints"
    recipe.export(found, step=1)
    assert segmenter_of(run.path).card.side == recipe.side


@pytest.mark.parametrize("context", [False, True])
def test_organs_are_learned_and_predicted_in_the_source_grid(
    base, tmp_path, context
) -> None:
    recipe, run = make(base, tmp_path / "run", context=context)
    # At half as many, one of four seeds has not begun to find the soft organ.
    steps = 320
    source = recipe.batches(0, run.config().engine, Accelerator(cpu=True))
    optimiser = make_optimiser(recipe.parameter_groups(), recipe.optimiser)
    for step in range(steps):
        recipe.train()
        recipe.before_step(step, steps)
        loss = recipe(next(source)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    recipe.eval()
    with torch.no_grad():
        scores = recipe.validate()
    assert scores["dice"] > 0.7
    recipe.export(run.checkpoints, step=steps)
    segmenter = segmenter_of(run.path)
    assert isinstance(segmenter, SliceSegmenter)
    assert segmenter.card.context == context
    (entry,) = find_scans(base / "scans" / "patient0.nii.gz")
    scan = read_scan(entry)
    found = segmenter.segment(scan)
    truth = nib.load(base / "labels" / "patient0.nii.gz").get_fdata()
    assert found.labels.shape == scan.voxels.shape
    assert set(np.unique(found.labels)) <= {0, 3, 7}
    mine = found.labels
    for value in (3, 7):
        overlap = 2 * ((mine == value) & (truth == value)).sum()
        assert overlap / ((mine == value).sum() + (truth == value).sum()) > 0.5


def test_a_decoder_that_was_pre_trained_too_is_taken_and_nothing_held_back(
    base, tmp_path
) -> None:
    whole = write_encoder(base, "whole")
    assert read_card(whole).decoder
    theirs = load_weights(whole / "checkpoints" / DECODER)
    for start, held in (("whole", 1.0), ("encoder", 0.1)):
        recipe, _ = make(base, tmp_path / start, start=start)
        stages = recipe.unet.stages.state_dict()
        same = [torch.equal(x, theirs[name]) for name, x in stages.items()]
        assert all(same) == (start == "whole")
        (_, encoder) = recipe.parameter_groups()
        assert encoder["rises_from"] == held


def test_a_plan_cuts_crops_for_the_same_encoder(base, tmp_path) -> None:
    config = finetuning_config(
        [base / "cohort"],
        task=task_named("segmentation"),
        preset_name="planned",
        start_from=base / "encoder",
        changes={"recipe": {"batch": 4}, "engine": {"threads": 1}},
    )
    labels = collect_labels(base / "labels", Cohort(base / "cohort"), labelling="auto")
    run = new_finetuning(config, labels, tmp_path / "run")
    recipe = segmentation_recipe(config, run)
    assert isinstance(recipe, CropSegmentation)
    assert recipe.pretrained == "encoder"
    encoder, _ = load_slice_encoder(base / "encoder")
    theirs = encoder.trunk.state_dict()
    mine = recipe.unet.encoder.trunk.state_dict()
    assert all(torch.equal(x, theirs[name]) for name, x in mine.items())
    (_, slow) = recipe.parameter_groups()
    assert slow["rises_from"] == config.recipe.encoder_rate
    batch = next(recipe.batches(0, config.engine, Accelerator(cpu=True)))
    assert torch.isfinite(recipe(batch).loss)


def test_a_training_goes_on_from_an_earlier_one(base, tmp_path) -> None:
    before, run = make(base, tmp_path / "first", context=True)
    before.export(run.checkpoints, step=1)
    after, _ = make(base, tmp_path / "second", start=run.path, context=True)
    old = before.trained.state_dict()
    new = after.unet.state_dict()
    assert set(old) == set(new)
    assert all(torch.equal(new[name], old[name]) for name in new)
    assert after.pretrained == before.pretrained == "encoder"


def test_another_modality_is_refused(base, tmp_path) -> None:
    card = read_card(base / "encoder")
    path = base / "encoder" / "checkpoints" / "encoder.json"
    before = path.read_text()
    path.write_text(card.model_copy(update={"units": ("unit",)}).model_dump_json())
    try:
        with pytest.raises(BadCohort, match="trained on unit"):
            make(base, tmp_path / "run")
    finally:
        path.write_text(before)
