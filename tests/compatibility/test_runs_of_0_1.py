"""What 0.1 wrote is opened, gone on with and used, through public commands alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.runs import RunFolder, find_runs

FIXTURES = Path(__file__).parent / "fixtures" / "v0_1"

#: What each fine-tuned run predicts on, and the files of one scan.
PREDICTIONS = {
    "lungs": ("cohort", {"labels.nii.gz", "probabilities.nii.gz", "volumes.csv"}),
    "lungs_by_slice": ("cohort", {"labels.nii.gz", "uncertainty.nii.gz"}),
    "nodules": ("cohort", {"findings.csv"}),
    "boxes": ("film_cohort", {"findings.csv"}),
    "emphysema": ("cohort", {"labels.nii.gz", "subtypes.csv"}),
    "findings": ("film_cohort", {"activation.nii.gz"}),
    "fev1": ("cohort", set()),
}
RECIPES = {
    "drasclr": "drasclr",
    "joint": "joint",
    "lungs": "segmentation",
    "lungs_by_slice": "segmentation",
    "nodules": "detection",
    "boxes": "detection",
    "emphysema": "texture",
    "findings": "classification",
    "fev1": "outcome",
}
STOPPED = ("drasclr", "joint")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the fixtures, whose absolute paths are its own."""
    here = tmp_path_factory.mktemp("old") / "v0_1"
    shutil.copytree(FIXTURES, here)
    for suffix in ("yaml", "json", "csv"):
        for path in here.rglob(f"*.{suffix}"):
            text = path.read_text(encoding="utf-8")
            if "__HERE__" in text:
                text = text.replace("__HERE__", here.as_posix())
                path.write_text(text, encoding="utf-8")
    return here


def test_runs_are_listed_with_their_state(scanlearn, old):
    rows = scanlearn("runs", old / "runs", "--json").document
    assert {Path(row["run"]).name: row["recipe"] for row in rows} == RECIPES
    states = {Path(row["run"]).name: row["state"] for row in rows}
    assert states == {
        name: "stopped" if name in STOPPED else "finished" for name in RECIPES
    }


def test_runs_tell_their_configuration_and_their_story(old):
    runs = {run.name: run for run in find_runs(old / "runs")}
    for name, run in runs.items():
        config, events = run.config(), run.events()
        assert config.recipe.name == RECIPES[name]
        assert config.kind == ("pretrain" if name in STOPPED else "finetune")
        assert all(Path(cohort).is_dir() for cohort in config.cohorts)
        assert events[0].kind == "started"
        assert {"step"} <= {event.kind for event in events}
    steps = [e.values["loss"] for e in runs["lungs"].events() if e.kind == "step"]
    assert steps
    assert np.isfinite(steps).all()
    assert runs["lungs"].config().start_from == old / "runs" / "drasclr"
    assert runs["fev1"].config().recipe.covariates == ("severity",)


def test_cohorts_open(old):
    chests, films = Cohort(old / "cohort"), Cohort(old / "film_cohort")
    assert (len(chests), len(films)) == (4, 6)
    assert len(chests.patients()) == 4
    for record in chests.records():
        key = record.key
        assert record.modality == "CT"
        voxels = chests.voxels(key)
        assert (voxels.dtype, voxels.shape) == (np.int16, chests.grid(key).shape)
        assert voxels.min() < -900 < 0 < voxels.max()
        mask, grid = chests.lungs(key)
        assert set(np.unique(mask)) == {0, 1, 2}
        litres = (mask > 0).sum() * np.prod(grid.spacing_mm) / 1e6
        assert 2 < litres < 10
    assert films.voxels(films.keys()[0]).shape[0] == 1


@pytest.mark.parametrize("name", STOPPED)
def test_a_stopped_pretraining_goes_on(scanlearn, old, tmp_path, name):
    run = tmp_path / name
    shutil.copytree(old / "runs" / name, run)
    before = RunFolder(run).last_event().step
    answer = scanlearn("resume", run, "--json")
    assert answer.status == 0, answer.err
    assert answer.document["state"] == "finished"
    events = RunFolder(run).events()
    after = [e for e in events if e.kind == "step" and e.step > before]
    assert len(after) > 5
    assert all(np.isfinite(e.values["loss"]) for e in after)
    again = [e.step for e in events if e.kind == "started"]
    assert again == [0, before]


@pytest.mark.parametrize("name", PREDICTIONS)
def test_a_fine_tuned_run_predicts(scanlearn, old, tmp_path, name):
    cohort, files = PREDICTIONS[name]
    shutil.copytree(old / cohort, tmp_path / cohort)
    key, *others = Cohort(tmp_path / cohort).keys()
    left_out = ("exclude", tmp_path / cohort, *others, "--reason", "one is enough")
    assert scanlearn(*left_out).status == 0
    out = tmp_path / "out"
    more = ("--covariates", "severity=2") if name == "fev1" else ()
    run = old / "runs" / name
    answer = scanlearn("predict", run, tmp_path / cohort, "--out", out, *more)
    assert answer.status == 0, answer.err
    about = json.loads((out / f"{key}_prediction.json").read_text())
    assert (about["run"], about["task"]) == (name, RECIPES[name])
    assert {f"{key}_{file}" for file in files} <= {p.name for p in out.iterdir()}


@pytest.mark.parametrize(("name", "width"), [("drasclr", 4), ("joint", 60)])
def test_an_encoder_embeds(scanlearn, old, tmp_path, name, width):
    file = tmp_path / "vectors.npz"
    answer = scanlearn("embed", old / "runs" / name, old / "cohort", "--out", file)
    assert answer.status == 0, answer.err
    found = np.load(file)
    assert found["vectors"].shape == (4, width)
    assert np.isfinite(found["vectors"]).all()
    assert sorted(found["ids"]) == Cohort(old / "cohort").keys()


def test_a_run_is_scored_on_the_labels_it_keeps(scanlearn, old):
    run = old / "runs" / "lungs"
    answer = scanlearn("evaluate", run, "--labels", run / "inputs", "--json")
    assert answer.status == 0, answer.err
    assert (answer.document["task"], answer.document["run"]) == (
        "segmentation",
        "lungs",
    )
    assert len(answer.document["cases"]) == 4
    assert 0 <= answer.document["mean"]["dice"]["mean"] <= 1
