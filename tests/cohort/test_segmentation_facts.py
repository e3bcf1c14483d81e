"""Facts of a cohort, and presets that take the voxels there are."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.working import fitting_spacing
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.encoders.encoder_kind import encoder_kind
from scanlearn.new_run import finetuning_config
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.segmentation.cohort_facts import segmentation_facts
from scanlearn.tasks.segmentation.labels import collect_training_maps
from scanlearn.tasks.shared.label_maps import collect_labels
from scanlearn.tasks.task import PlanRequest

TASK = task_named("segmentation")

AFFINE = np.diag([-1.5, -1.5, 10.0, 1.0])


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """Return thick slices of four patients, two of them labelled."""
    base = tmp_path_factory.mktemp("thick")
    rng = np.random.default_rng(0)
    for folder in ("scans", "labels"):
        (base / folder).mkdir()
    for number in range(4):
        shape = (40 + number, 44, 8)
        image = rng.normal(100, 20, shape).astype(np.float32)
        name = f"patient{number}.nii.gz"
        nib.save(nib.Nifti1Image(image, AFFINE), base / "scans" / name)
        labels = np.zeros(shape, np.uint8)
        labels[10:20, 10:20, 2:6] = 1
        if number < 3:
            nib.save(nib.Nifti1Image(labels, AFFINE), base / "labels" / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(base / "home"))
        prepare(base / "scans", base / "cohort", PrepareConfig(workers=0))
    return base


def test_facts_are_those_of_the_scans_and_labels(base) -> None:
    cohort = Cohort(base / "cohort")
    labels = collect_labels(base / "labels", cohort)
    facts = segmentation_facts(cohort, labels)
    assert facts.spacing_mm == (10.0, 1.5, 1.5)
    assert facts.shape == (8, 44, 41)
    assert (facts.units, facts.labelled, facts.unlabelled) == ("zscore", 3, 1)
    assert segmentation_facts(cohort, None).labelled is None
    assert segmentation_facts(cohort, None).unlabelled == 4
    assert segmentation_facts(cohort, None).with_labelled(1).unlabelled == 3


def test_patients_kept_for_testing_are_not_to_be_learned_from(base) -> None:
    table = base / "labels.csv"
    rows = [
        f"{base}/scans/patient{n}.nii.gz,{base}/labels/patient{n}.nii.gz,{split}"
        for n, split in enumerate(("train", "test", "train"))
    ]
    table.write_text("\n".join(["path,mask,split", *rows]))
    cohort = Cohort(base / "cohort")
    labels = collect_training_maps(table, cohort, SegmentationConfig())
    assert len(labels.apart) == 1
    assert labels.apart[0] not in labels.patient_keys
    facts = segmentation_facts(cohort, labels)
    assert (facts.labelled, facts.unlabelled) == (2, 1)
    # The run's own copy remembers them.
    labels.save(base / "inputs")
    assert type(labels).load(base / "inputs").apart == labels.apart


def test_what_an_encoder_sees_is_read_off_its_card(tmp_path) -> None:
    assert encoder_kind(tmp_path) is None
    card = tmp_path / "checkpoints" / "encoder.json"
    card.parent.mkdir()
    card.write_text('{"architecture": "slice-encoder"}')
    assert encoder_kind(tmp_path) == "slices"
    card.write_text('{"architecture": "location-encoder"}')
    assert encoder_kind(tmp_path) == "patches"


@pytest.mark.parametrize("preset", ["planned", "quick", "mr", "standard"])
def test_any_preset_fits_any_voxels(base, preset) -> None:
    config = finetuning_config(
        [base / "cohort"], task=TASK, preset_name=preset, start_from=None
    )
    assert config.recipe.spacing_mm in (None, 1.5)
    asked = finetuning_config(
        [base / "cohort"],
        task=TASK,
        preset_name=preset,
        start_from=None,
        changes={"recipe": {"spacing_mm": 3.0}},
    )
    assert asked.recipe.spacing_mm == 3.0


@pytest.mark.parametrize(
    ("finest", "wanted", "found"),
    [(1.5, 2.0, 1.5), (1.0, 2.0, 2.0), (0.7, 2.0, 2.1), (4.0, 2.0, 4.0)],
)
def test_the_nearest_multiple_is_taken(finest, wanted, found) -> None:
    assert fitting_spacing(finest, wanted) == pytest.approx(found)


def test_changes_are_laid_over_a_plan_and_planned_around(base) -> None:
    def planned(**changes):
        return finetuning_config(
            [base / "cohort"],
            task=TASK,
            preset_name="planned",
            start_from=None,
            changes=changes,
        )

    assert planned().recipe.dimensions == 2
    assert planned().engine.steps == 1600
    assert planned(recipe={"batch": 5}).recipe.batch == 5
    assert planned(engine={"minutes": 10}).engine.steps == 3200
    assert planned(recipe={"unlabelled": True}).engine.steps == 3200
    plan = TASK.plan(PlanRequest(base / "cohort", labelled=1)).plan
    assert plan.unlabelled
    assert plan.facts.unlabelled == 3
