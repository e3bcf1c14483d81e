"""Commands that train, predict and manage runs, with real workers where they matter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.encoders.encoder_file import load_encoder
from scanlearn.new_run import new_pretraining, pretraining_config
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.geometry import grid_from_ras

SMALL = [
    *("--preset", "quick", "-s", "spacing_mm=null"),
    *("-s", "engine.threads=1", "-s", "engine.precision=no", "-s", "batch=4"),
]
SMALL_DRASCLR = [
    *SMALL,
    *("-s", "landmarks.at_most=6", "-s", "landmarks.patch_mm=64"),
    *("-s", "encoder.width=2", "-s", "encoder.dim=8", "-s", "encoder.experts=2"),
]


@pytest.fixture
def untrained(tiny_cohort, tmp_path):
    """Return a run that nobody has started."""
    config = pretraining_config(
        [tiny_cohort], method=method_named("drasclr"), preset_name="quick"
    )
    changes = config.recipe.model_copy(update={"spacing_mm": None})
    config = config.model_copy(update={"recipe": changes})
    return new_pretraining(method_of(config), config, tmp_path / "runs" / "new")


def test_a_pretraining_of_no_minutes_is_the_baseline(scanlearn, tiny_cohort, tmp_path):
    out = tmp_path / "runs" / "baseline"
    answer = scanlearn(
        *("pretrain", tiny_cohort, *SMALL_DRASCLR, "--minutes", 0),
        *("--out", out, "--json"),
    )
    assert answer.status == 0, answer.err
    assert answer.document == {"run": str(out), "state": "finished"}
    _, card = load_encoder(out)
    assert card.step == 0

    planned = RunFolder(out).config().engine
    most = method_named("drasclr").offer.presets["quick"]["engine"]["steps"]
    assert 0 < planned.steps <= most
    listed = scanlearn("runs", tmp_path / "runs", "--json")
    assert listed.status == 0
    (row,) = listed.document
    assert row == {
        "run": str(out),
        "recipe": "drasclr",
        "state": "finished",
        "step": 0,
        "steps": planned.steps,
    }
    assert "finished" in scanlearn("runs", tmp_path / "runs").out
    assert "is finished" in scanlearn("resume", out).told()
    assert "is not running" in scanlearn("stop", out).told()
    assert "which learned no task" in _predict(scanlearn, out, tmp_path).told()

    file = tmp_path / "vectors.npz"
    answer = scanlearn("embed", out, tiny_cohort, "--out", file, "--json")
    assert answer.document == {"out": str(file), "n": 4, "d": 8}
    assert np.load(file)["vectors"].shape == (4, 8)
    slices = scanlearn("embed", out, tiny_cohort, "--out", file, "--level", "slice")
    assert "no slice level" in slices.told()
    answer = scanlearn("embed", out, tiny_cohort, "--out", file, "--events")
    assert json.loads(answer.out.splitlines()[-1])["kind"] == "finished"

    like = np.load(file)["ids"][0]
    listed = scanlearn("search", out, tiny_cohort, "--like", like, "--n", 2, "--json")
    assert [set(hit) for hit in listed.document] == [
        {"scan", "patient", "similarity"}
    ] * 2
    wrong = scanlearn("search", out, tiny_cohort, "--like", like, "--at", "1,2")
    assert "is no point" in wrong.told()
    hits = tmp_path / "hits.json"
    options = ("--like", like, "--out", hits, "--events")
    answer = scanlearn("search", out, tiny_cohort, *options)
    assert json.loads(answer.out.splitlines()[-1])["kind"] == "finished"
    assert json.loads(hits.read_text())[:2] == listed.document


def _predict(scanlearn, run, tmp_path):
    return scanlearn("predict", run, tmp_path, "--out", tmp_path / "predictions")


def test_a_training_is_followed_to_its_end(scanlearn, tiny_cohort, tmp_path):
    out = tmp_path / "run"
    steps = ["-s", "engine.steps=6", "-s", "engine.log_every=1"]
    answer = scanlearn("pretrain", tiny_cohort, *SMALL_DRASCLR, *steps, "--out", out)
    assert answer.status == 0, answer.err
    assert answer.out.strip() == str(out)
    assert "6/6" in answer.err
    run = RunFolder(out)
    assert run.config().engine.precision == "no"
    assert [e.step for e in run.events() if e.kind == "step"] == [1, 2, 3, 4, 5, 6]


def test_labels_are_learned_and_predicted(
    scanlearn, tiny_cohort, tiny_sample, tmp_path
):
    run = tmp_path / "lungs"
    labels = tiny_sample / "labels" / "lungs"
    answer = scanlearn(
        *("finetune", tiny_cohort, "--task", "segmentation", "--labels", labels),
        *("--from-scratch", *SMALL, "-s", "width=2", "-s", "engine.steps=2"),
        *("--out", run, "--json"),
    )
    assert answer.status == 0, answer.err
    assert answer.document["state"] == "finished"
    source = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    out = tmp_path / "out"
    answer = scanlearn("predict", run, source, "--out", out, "--json")
    assert answer.status == 0, answer.err
    assert answer.document == [str(out / "PHANTOM-0002_prediction.json")]
    mine = nib.load(out / "PHANTOM-0002_labels.nii.gz")
    assert np.allclose(mine.affine, nib.load(source).affine)
    assert mine.shape == nib.load(source).shape

    answer = scanlearn("predict", run, source, "--out", out, "--events")
    told = [json.loads(line)["kind"] for line in answer.out.splitlines()]
    assert set(told) <= {"step", "message", "finished"}
    assert told[-1] == "finished"

    line = scanlearn("predict", run, source, "--out", out, "--dicom-seg").told()
    assert "not DICOM" in line
    _check_export(scanlearn, out / "PHANTOM-0002_prediction.json", source, tmp_path)

    answer = scanlearn("evaluate", run, "--labels", labels, "--json")
    assert answer.status == 0, answer.err
    assert answer.document["mean"]["dice"]["n"] == 4
    assert set(answer.document["classes"]) == {"class 1", "class 2"}
    answer = scanlearn("evaluate", run, "--labels", labels)
    assert "class 2" in answer.out
    assert "Only 4 patients" in answer.err
    assert "Not for clinical use" in answer.err

    letter = tmp_path / "letter.nii.gz"
    letter.write_text("no image")
    none = tmp_path / "none"
    line = scanlearn("predict", run, letter, "--out", none).told()
    assert "letter.nii.gz" in line
    answer = scanlearn("predict", run, letter, "--out", none, "--events")
    assert answer.status == 2
    crashed = json.loads(answer.out.splitlines()[-1])
    assert (crashed["kind"], crashed["mendable"]) == ("crashed", True)
    assert not none.exists()


def test_a_cohort_at_a_url_is_trained_and_predicted_on(
    scanlearn, tiny_cohort, tiny_sample, tmp_path, serve
):
    url, requests = serve(tiny_cohort)
    encoder, run, out = (tmp_path / name for name in ("encoder", "run", "out"))
    answer = scanlearn(
        *("pretrain", url, *SMALL_DRASCLR, "-s", "engine.steps=2", "--out", encoder)
    )
    assert answer.status == 0, answer.err

    # Masks are named by keys: the map to the source files stays where it is.
    key = Cohort(tiny_cohort).keys()[0]
    name = Path(Cohort(tiny_cohort).sources()[key].path).name.split(".")[0]
    (mask,) = (tiny_sample / "labels" / "lungs").glob(f"{name}*")
    (tmp_path / "masks").mkdir()
    shutil.copy(mask, tmp_path / "masks" / f"{key}.nii.gz")
    answer = scanlearn(
        *("finetune", url, "--task", "segmentation", "--labels", tmp_path / "masks"),
        *("--from", encoder, *SMALL, "-s", "width=2", "-s", "engine.steps=2"),
        *("--out", run),
    )
    assert answer.status == 0, answer.err
    answer = scanlearn("predict", run, url, "--out", out, "--json")
    assert answer.status == 0, answer.err
    assert len(answer.document) == 4
    labels = nib.load(out / f"{key}_labels.nii.gz")
    grid = Cohort(tiny_cohort).grid(key)
    assert grid_from_ras(labels.shape, labels.affine).matches(grid)

    asked = requests()
    assert not any("private" in path for path in asked)
    assert asked.count(f"/scans/{key}.npy") <= 2  # a HEAD and a GET, once for all
    assert "can only be read" in scanlearn("prepare", tiny_sample, url).told()
    line = scanlearn("pretrain", f"{url}/none", "--out", tmp_path / "no").told()
    assert "has no cohort.yaml" in line


def _check_export(scanlearn, summary, source, folder):
    """Every format that the scan can have, then one of them, then what cannot be."""
    answer = scanlearn("export", summary, source, "--out", folder / "all", "--json")
    assert answer.status == 0, answer.err
    assert sorted(path.rsplit("_", 1)[1] for path in answer.document) == [
        *("axial.png", "coronal.png", "densitometry.csv", "labels.nii.gz"),
        *("probabilities.nii.gz", "sagittal.png", "uncertainty.nii.gz"),
        "volumes.csv",
    ]
    answer = scanlearn("export", summary, source, "--out", folder / "one", "--tables")
    assert answer.status == 0, answer.err
    assert "Not for clinical use" in answer.err
    names = [path.name for path in sorted((folder / "one").iterdir())]
    assert names == ["PHANTOM-0002_densitometry.csv", "PHANTOM-0002_volumes.csv"]
    refused = folder / "refused"
    line = scanlearn("export", summary, source, "--out", refused, "--dicom-seg").told()
    assert "not DICOM" in line
    other = source.parent / "PHANTOM-0004.nii.gz"
    line = scanlearn("export", summary, other, "--out", refused, "--figures").told()
    assert "lies on another grid than its scan" in line
    line = scanlearn("export", source, source, "--out", refused).told()
    assert "is no prediction" in line
    assert not refused.exists()


@pytest.mark.parametrize("command", ["resume", "stop", "predict"])
def test_a_folder_that_is_no_run_is_told(scanlearn, tmp_path, command):
    for folder in (tmp_path, tmp_path / "none"):
        extra = [tmp_path, "--out", tmp_path / "out"] if command == "predict" else []
        line = scanlearn(command, folder, *extra).told()
        assert str(folder) in line
        assert "scanlearn runs" in line
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_never_started_cannot_be_stopped(scanlearn, untrained):
    assert "it is new" in scanlearn("stop", untrained.path).told()
    assert not untrained.stop_file.exists()


def test_a_worker_that_vanished_cannot_be_stopped(scanlearn, untrained):
    dead = {"pid": 2**22 + 1, "process_started": 0.0}
    untrained.claim({})
    facts = untrained.process() | dead
    (untrained.path / "run.json").write_text(json.dumps(facts))
    assert "it is lost" in scanlearn("stop", untrained.path).told()


def test_no_runs_are_no_error(scanlearn, tmp_path):
    assert scanlearn("runs", tmp_path, "--json").document == []
    assert f"no runs in {tmp_path}" in scanlearn("runs", tmp_path).out


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("no_such=1", "no_such"),
        ("engine.no_such=1", "engine.no_such"),
        ("batch=one", "batch"),
        ("engine.steps=-1", "engine.steps"),
        ("batch", "'batch' is no setting"),
        ("engine.device=tpu", "engine.device"),
        ("spacing_mm=3", "multiple"),
        ("batch=[1", "batch"),
    ],
)
def test_a_wrong_setting_is_told_and_leaves_no_run(
    scanlearn, tiny_cohort, tmp_path, setting, told
):
    out = tmp_path / "runs" / "run"
    line = scanlearn(
        *("pretrain", tiny_cohort, "--preset", "quick", "-s", "spacing_mm=null"),
        *("-s", setting, "--out", out),
    ).told()
    assert told in line
    assert not out.exists()
    assert not list(tmp_path.rglob("config.yaml"))


def test_settings_of_a_file_are_read(scanlearn, tiny_cohort, tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("recipe: {batch: 0}\n")
    arguments = ["pretrain", tiny_cohort, "--preset", "quick", "--config"]
    assert "recipe.batch" in scanlearn(*arguments, path).told()
    path.write_text("- a list\n")
    assert "settings.yaml" in scanlearn(*arguments, path).told()
    assert "none.yaml" in scanlearn(*arguments, tmp_path / "none.yaml").told()


def test_a_folder_that_is_no_cohort_is_told(scanlearn, tmp_path):
    for arguments in (
        ["pretrain", tmp_path],
        [
            *("finetune", tmp_path, "--task", "segmentation", "--labels", tmp_path),
            "--from-scratch",
        ],
    ):
        line = scanlearn(*arguments, "--out", tmp_path / "run").told()
        assert str(tmp_path) in line
        assert "scanlearn prepare" in line
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def finetune(scanlearn, tiny_cohort, tmp_path):
    """Return a function that fine-tunes from scratch on a folder of labels."""

    def run(labels, *extra):
        return scanlearn(
            *("finetune", tiny_cohort, "--task", "segmentation", "--labels", labels),
            *(extra or ["--from-scratch"]),
            *("--out", tmp_path / "runs" / "run"),
        )

    return run


def _labels(tiny_sample, folder, change):
    folder.mkdir()
    source = nib.load(tiny_sample / "labels" / "lungs" / "PHANTOM-0002_labels.nii.gz")
    values, affine = change(np.asarray(source.dataobj).copy(), source.affine.copy())
    nib.save(nib.Nifti1Image(values, affine), folder / "PHANTOM-0002_labels.nii.gz")
    return folder


def _moved(values, affine):
    affine[:3, 3] += 40
    return values, affine


def _few(values, affine):
    few = np.zeros_like(values)
    few[tuple(np.argwhere(values == 1)[0])] = 1
    return few, affine


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_moved, "PHANTOM-0002_labels"),
        (lambda values, affine: (values[:-3], affine), "PHANTOM-0002_labels"),
        (lambda values, affine: (np.zeros_like(values), affine), "empty"),
        (_few, "only 1 voxels"),
    ],
    ids=["moved", "cropped", "empty", "too few"],
)
def test_labels_that_do_not_fit_are_told_and_leave_no_run(
    finetune, tiny_sample, tmp_path, change, told
):
    labels = _labels(tiny_sample, tmp_path / "labels", change)
    assert told in finetune(labels).told()
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]


def test_labels_of_strangers_are_told(finetune, tmp_path):
    (tmp_path / "labels").mkdir()
    image = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))
    nib.save(image, tmp_path / "labels" / "someone.nii.gz")
    assert str(tmp_path / "labels") in finetune(tmp_path / "labels").told()
    assert "none" in finetune(tmp_path / "none").told()


def test_where_to_start_from_must_be_said_once(
    finetune, tiny_sample, tmp_path, untrained
):
    labels = tiny_sample / "labels" / "lungs"
    line = finetune(labels, "--preset", "quick").told()
    assert "--from" in line
    assert "--from-scratch" in line
    both = ["--from", untrained.path, "--from-scratch"]
    assert "both given" in finetune(labels, *both).told()
    line = finetune(labels, "--from", untrained.path).told()
    assert "no trained encoder" in line
    assert "no run" in finetune(labels, "--from", tmp_path).told()
    assert not (tmp_path / "runs" / "run").exists()


def test_a_segmentation_without_a_preset_says_what_it_plans(
    finetune, tiny_sample, tmp_path
):
    small = ("-s", "width=2", "-s", "batch=2", "-s", "engine.threads=1")
    answer = finetune(
        tiny_sample / "labels" / "lungs",
        *("--from-scratch", *small, "-s", "steps=1", "-s", "engine.precision=no"),
    )
    assert answer.status == 0, answer.err
    told = (answer.out + answer.err).splitlines()
    assert any(line.startswith("In three dimensions: ") for line in told)
    assert any("updates: about 5 minutes" in line for line in told)
    config = RunFolder(tmp_path / "runs" / "run").config()
    assert config.preset == "planned"
    assert (config.recipe.stride, config.recipe.keep_largest) == (2, True)
    assert (config.recipe.width, config.engine.steps) == (2, 1)


def test_an_existing_run_is_not_overwritten(scanlearn, untrained, tiny_cohort):
    before = sorted(untrained.path.rglob("*"))
    line = scanlearn(
        "pretrain", tiny_cohort, *SMALL_DRASCLR, "--out", untrained.path
    ).told()
    assert "exists already" in line
    assert sorted(untrained.path.rglob("*")) == before


def test_an_internal_error_is_not_the_users(scanlearn, monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr("scanlearn.engine.devices.describe_device", broken)
    answer = scanlearn("device")
    assert answer.status == 1
    assert "internal error" in answer.err
    answer = scanlearn("device", "--events")
    assert answer.status == 1
    crashed = json.loads(answer.out)
    assert (crashed["kind"], crashed["mendable"]) == ("crashed", False)


def test_a_joint_pretraining_of_several_cohorts(scanlearn, mixed_cohorts, tmp_path):
    """CT and MR volumes and radiographs in one training, from three cohorts."""
    out = tmp_path / "joint"
    small = {
        "trunk.width": 4,
        "transformer.dim": 8,
        "transformer.layers": 1,
        "image_side": 24,
        "image_crop": 16,
        "slice_side": 16,
        "slices": 5,
        "engine.steps": 6,
        "engine.save_every": 5,
    }
    settings = [f"-s{key}={value}" for key, value in small.items()]
    options = ("--method", "joint", "--clustering", "swav", "--preset", "quick")
    answer = scanlearn("pretrain", *mixed_cohorts, *options, *settings, "--out", out)
    assert answer.status == 0, answer.err
    run = RunFolder(out)
    assert run.state() == "finished"
    assert run.config().recipe.clustering == "swav"
    assert (run.checkpoints / "encoder.safetensors").is_file()
    line = scanlearn("pretrain", mixed_cohorts[0], "--clustering", "swav").told()
    assert "has no clusters" in line
