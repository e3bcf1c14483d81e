"""Detection fine-tuning on patients made of blocks with round findings."""

from __future__ import annotations

from itertools import islice

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.detection import DetectionConfig
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadLabels, BadRun
from scanlearn.new_run import finetuning_config, new_finetuning
from scanlearn.tasks.detection.card import load_detector
from scanlearn.tasks.detection.finding_set import FindingSet
from scanlearn.tasks.detection.labels import collect_findings
from scanlearn.tasks.detection.learn_spheres import Detection
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.segmentation.card import load_segmenter

PATIENTS = 4
SPACING = 4.0
AFFINE = np.diag([-SPACING, -SPACING, SPACING, 1.0])
SHAPE = (40, 38, 36)


def _centres(number: int) -> np.ndarray:
    """Return two centres as NIfTI indices; the last patient has none."""
    rng = np.random.default_rng(number)
    low = rng.integers(8, 12, size=3)
    return np.array([low, low + 14])[: 0 if number == PATIENTS - 1 else 2]


def _scan(number: int) -> np.ndarray:
    """Return HU of a block of lung with balls of 28 mm."""
    rng = np.random.default_rng(number)
    hu = np.full(SHAPE, -1000.0)
    hu[2:-2, 2:-2, 2:-2] = -850.0
    hu[:, :3, :3] = 200.0  # a rod: what is all air is not taken for a CT
    places = np.indices(SHAPE).transpose(1, 2, 3, 0)
    for centre in _centres(number):
        hu[np.linalg.norm((places - centre) * SPACING, axis=-1) < 14] = 30.0
    return (hu + rng.normal(0, 20, SHAPE)).astype(np.int16)


def _rows(number: int) -> list[dict[str, object]]:
    path = f"scans/patient{number}.nii.gz"
    # LPS: NIfTI's x and y with the other sign.
    rows = [
        dict(zip("xyz", (SPACING, SPACING, SPACING) * c, strict=True))
        | {"path": path, "diameter": 28.0}
        for c in _centres(number)
    ]
    return rows or [{"path": path}]


@pytest.fixture(scope="module")
def balls(home, tmp_path_factory):
    """Return a folder with the cohort and the table."""
    base = tmp_path_factory.mktemp("balls")
    (base / "scans").mkdir()
    rows = []
    for number in range(PATIENTS):
        image = nib.Nifti1Image(_scan(number), AFFINE)
        nib.save(image, base / "scans" / f"patient{number}.nii.gz")
        rows += _rows(number)
    columns = ["path", "x", "y", "z", "diameter"]
    pd.DataFrame(rows, columns=columns).to_csv(base / "nodules.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(home))
        config = PrepareConfig(spacing_mm=SPACING, workers=0)
        prepare(base / "scans", base / "cohort", config)
    return base


@pytest.fixture
def make(balls, tmp_path):
    """Return a function that makes the recipe of a new run."""

    def make(labels=None, **changes) -> Detection:
        config = finetuning_config(
            [balls / "cohort"],
            task=task_named("detection"),
            preset_name="quick",
            start_from=None,
            changes={
                "recipe": {"spacing_mm": None, "width": 4, "batch": 4} | changes,
                "engine": {"seed": 3},
            },
        )
        found = labels or collect_findings(
            balls / "nodules.csv", Cohort(balls / "cohort")
        )
        run = new_finetuning(
            config, found, tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        )
        torch.manual_seed(0)
        return Detection(config, run)

    return make


def test_tiles_hold_what_their_objects_say(make, accelerator):
    recipe = make(around_findings=1.0, batch=8)
    engine = finetuning_engine(recipe)
    batch = next(iter(recipe.batches(0, engine, accelerator)))
    assert batch["image"].shape == (8, 1, 32, 32, 32)
    found = 0
    for image, objects in zip(batch["image"][:, 0], batch["objects"], strict=True):
        for *centre, diameter in objects.tolist():
            index = [round(c) for c in centre] if np.isfinite(diameter) else [-1]
            if all(0 <= i < 32 for i in index):
                found += 1
                assert diameter == 28
                assert float(image[tuple(index)]) > 900  # 30 HU above air at -1024
    assert found >= 8


def finetuning_engine(recipe: Detection):
    from scanlearn.config.engine import EngineConfig

    return EngineConfig(seed=recipe.seed)


def test_batches_follow_the_step_alone(make, accelerator):
    recipe = make()
    engine = finetuning_engine(recipe)
    third = list(islice(recipe.batches(0, engine, accelerator), 3))[2]
    again = next(iter(recipe.batches(2, engine, accelerator)))
    for name, value in third.items():
        torch.testing.assert_close(again[name], value, equal_nan=True)


def test_it_learns_to_find_balls_and_is_exported(make, accelerator, tmp_path):
    recipe = make(within_lungs=False)
    recipe.held_out = recipe.training_scans
    batches = recipe.batches(0, finetuning_engine(recipe), accelerator)
    optimiser = torch.optim.AdamW(recipe.parameters(), lr=5e-3)
    recipe.train()
    for step, batch in enumerate(islice(batches, 50)):
        recipe.before_step(step, 50)
        optimiser.zero_grad()
        recipe(batch).loss.backward()
        optimiser.step()
    recipe.eval()
    metrics = recipe.validate()
    assert metrics["cpm"] > 0.8
    assert metrics["ap"] > 0.5
    checkpoints = tmp_path / "exported" / "checkpoints"
    checkpoints.mkdir(parents=True)
    recipe.export(checkpoints, step=50)
    network, card = load_detector(tmp_path / "exported")
    assert (card.stride, card.smallest_mm, card.units) == (2, 28.0, "HU")
    x, boxes = torch.randn(1, 1, 32, 32, 32), torch.zeros(1, 2, 3)
    with torch.no_grad():
        torch.testing.assert_close(network(x, boxes), recipe.network(x, boxes))
    with pytest.raises(BadRun, match="cannot be understood"):
        load_segmenter(tmp_path / "exported")


def test_splits_of_the_table_are_honoured(balls, make):
    cohort = Cohort(balls / "cohort")
    labels = collect_findings(balls / "nodules.csv", cohort)
    parts = dict(
        zip(
            [i.scan for i in labels.items],
            ("train", "val", "test", "train"),
            strict=True,
        )
    )
    marked = FindingSet(
        "spheres",
        tuple(
            type(i)(i.scan, i.patient, i.objects, parts[i.scan]) for i in labels.items
        ),
    )
    recipe = make(marked)
    keys = [scan.key for scan in recipe.cohorts.scans]
    assert [parts[keys[s.number]] for s in recipe.training_scans] == ["train"] * 2
    assert [parts[keys[s.number]] for s in recipe.held_out] == ["val"]


def test_nothing_to_learn_from_is_refused(balls, make):
    labels = collect_findings(balls / "nodules.csv", Cohort(balls / "cohort"))
    empty = [i for i in labels.items if not len(i.objects)]
    with pytest.raises(BadLabels, match="None of the 1 scans"):
        make(FindingSet("spheres", tuple(empty)))


def test_a_run_of_when_the_encoder_had_a_third_way_opens():
    assert DetectionConfig(encoder="auto") == DetectionConfig(encoder="full")


def test_a_frozen_encoder_does_not_move(make, accelerator):
    recipe = make(encoder="frozen")
    before = {k: v.clone() for k, v in recipe.network.encoder.state_dict().items()}
    batch = next(iter(recipe.batches(0, finetuning_engine(recipe), accelerator)))
    (group,) = recipe.parameter_groups()
    recipe.train()
    recipe.before_step(0, 1)
    optimiser = torch.optim.AdamW(group["params"], lr=0.1)
    recipe(batch).loss.backward()
    optimiser.step()
    for name, value in recipe.network.encoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
