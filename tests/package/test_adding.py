"""A task and a method of another package: offered, trained, predicted and scored."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.offer import Offer
from scanlearn.config.recipe import RecipeConfig
from scanlearn.encoders.encoder_file import load_encoder
from scanlearn.errors import BadConfig
from scanlearn.gui.tasks.registry import dock_task
from scanlearn.pretraining.registry import all_methods
from scanlearn.tasks.registry import all_tasks

REPOSITORY = Path(__file__).resolve().parents[2]
OURS = ["segmentation", "detection", "texture", "classification", "outcome"]
FEW = [
    *("-s", "steps=2", "-s", "engine.threads=1", "-s", "engine.precision=no"),
    *("-s", "engine.device=cpu"),
]


@pytest.fixture(scope="module", autouse=True)
def _home_of_the_module(tmp_path_factory):
    """Keep the user's own settings out of what is trained once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def site(example, distribute, tmp_path_factory):
    """Return a folder that holds the installed example."""
    folder = tmp_path_factory.mktemp("site")
    distribute(example, folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def scanlearn(site: Path | None, *arguments: object) -> subprocess.CompletedProcess:
    """Run a command in a process that finds what is installed in ``site``."""
    others = os.environ.get("PYTHONPATH", "")
    path = others if site is None else os.pathsep.join([str(site), others])
    command = [sys.executable, "-m", "scanlearn", *map(str, arguments)]
    return subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def document(site: Path | None, *arguments: object):
    done = scanlearn(site, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def pretrained(site, runs, tiny_cohort):
    """Return a run of the method; its only preset need not be named."""
    asked = ("--method", "patch-mean", *FEW, "--out", runs / "pretrained")
    found = document(site, "pretrain", tiny_cohort, *asked)
    assert found["state"] == "finished", (runs / "pretrained" / "log.txt").read_text()
    return runs / "pretrained"


@pytest.fixture(scope="module")
def line(site, runs, tiny_cohort, tiny_sample):
    """Return a run of the task."""
    asked = ("--task", "mean-density", "--labels", tiny_sample / "outcomes.csv")
    more = ("--from-scratch", "--out", runs / "line")
    found = document(site, "finetune", tiny_cohort, *asked, *more)
    assert found["state"] == "finished", (runs / "line" / "log.txt").read_text()
    return runs / "line"


@pytest.fixture(scope="module")
def by_hand(tiny_cohort, tiny_sample):
    """Return mean intensities and severities of the patients, without the example."""
    cohort = Cohort(tiny_cohort)
    table = pd.read_csv(tiny_sample / "outcomes.csv").set_index("path")["severity"]
    places = {(tiny_sample / path).resolve(): value for path, value in table.items()}
    keys = cohort.keys()
    numbers = [places[Path(cohort.sources()[key].path).resolve()] for key in keys]
    return np.array([np.mean(cohort.voxels(key)) for key in keys]), np.array(numbers)


def test_the_page_shows_the_code_that_is_tested_here(example):
    page = (REPOSITORY / "docs" / "adding.md").read_text("utf-8")
    files = [f for f in example.rglob("*.*") if f.suffix in (".py", ".toml")]
    assert len(files) == 5
    for file in files:
        assert file.read_text("utf-8") in page, file
    for name in ("mean_density", "patch_mean"):
        files = (example / "scanlearn_example" / name).glob("*.py")
        assert sum(len(file.read_text().splitlines()) for file in files) < 100


def test_an_encoder_of_another_method_starts_a_task_of_ours(
    site, runs, pretrained, tiny_cohort, tiny_sample
):
    encoder, card = load_encoder(pretrained)
    assert (card.method, card.step, encoder.dim) == ("patch-mean", 2, 16)
    table, out = tiny_sample / "outcomes.csv", runs / "outcome"
    asked = ("--task", "outcome", "--labels", table, "-s", "target=severity")
    more = ("--from", pretrained, "--out", out)
    found = document(site, "finetune", tiny_cohort, *asked, *more)
    assert found["state"] == "finished", (out / "log.txt").read_text()
    model = json.loads((out / "checkpoints" / "model.json").read_text())
    assert (model["pretrained"], model["features"]) == ("pretrained", "patches")


def test_a_task_of_another_package_predicts_and_is_scored(
    site, line, by_hand, tiny_sample, tmp_path
):
    means, numbers = by_hand
    wanted = np.polyfit(means, numbers, deg=1)
    scan = next((tiny_sample / "scans").rglob("*.nii.gz"))
    (file,) = document(site, "predict", line, scan, "--out", tmp_path)
    found = json.loads(Path(file).read_text())
    assert found["task"] == "mean-density"
    mean = float(nib.load(scan).get_fdata().mean())
    assert found["predicted"] == pytest.approx(np.polyval(wanted, mean), rel=1e-6)
    score = document(site, "evaluate", line, "--labels", tiny_sample / "outcomes.csv")
    misses = np.abs(np.polyval(wanted, means) - numbers)
    assert score["mean"]["MAE"]["mean"] == pytest.approx(misses.mean(), rel=1e-6)
    assert "Only 4 patients" in score["remarks"][0]


def test_its_runs_are_listed_and_go_on_while_it_is_installed(
    site, runs, pretrained, line, tmp_path
):
    listed = {row["run"]: row for row in document(site, "runs", runs)}
    assert listed[str(pretrained)]["recipe"] == "patch-mean"
    assert listed[str(line)]["recipe"] == "mean-density"
    begun = tmp_path / "begun"
    for folder in ("inputs", "checkpoints", "previews"):
        (begun / folder).mkdir(parents=True)
    shutil.copy(pretrained / "config.yaml", begun)
    assert document(site, "resume", begun)["state"] == "finished"

    rows = {row["run"]: row for row in document(None, "runs", runs)}
    assert rows.keys() == listed.keys()
    assert rows[str(line)]["state"] == "unreadable"
    assert "no method or task 'mean-density'" in rows[str(line)]["problem"]
    refused = scanlearn(None, "resume", pretrained)
    assert refused.returncode == 2
    assert "Install the package that brings it" in refused.stderr


def test_help_offers_both(site):
    assert "|mean-density]" in scanlearn(site, "finetune", "--help").stdout
    told = scanlearn(site, "pretrain", "--help").stdout
    assert "|patch-mean]" in told
    assert "learns the mean intensity of patches" in told


BROKEN = {
    "raises": "raise RuntimeError('no licence')\n",
    "lacks": "class Task:\n    pass\n",
    "offers_too_much": """
from scanlearn.config.offer import Offer
from scanlearn.config.recipe import RecipeConfig
class Config(RecipeConfig):
    name: str = "offers-too-much"
class Task:
    offer = Offer("T", "about", "t", Config, {"quick": {}}, ("recipe.nothing",))
""",
    "takes_a_name": """
from scanlearn.config.recipe import RecipeConfig
class Task(RecipeConfig):
    name: str = "drasclr"
""",
}
WHY = {
    "raises": "RuntimeError: no licence",
    "lacks": "it has no 'card'",
    "offers_too_much": "no setting 'recipe.nothing'",
    "takes_a_name": "settings named 'drasclr' already",
}


@pytest.fixture
def broken(tmp_path):
    """Return a project of which nothing works."""
    project = tmp_path / "project"
    points = [f'{name} = "broken_{name}:Task"' for name in BROKEN]
    for name, code in BROKEN.items():
        package = project / f"broken_{name}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(code)
    groups = [
        f'[project.entry-points."scanlearn.{group}"]\n' + "\n".join(points)
        for group in ("tasks", "methods", "docks")
    ]
    about = '[project]\nname = "broken"\nversion = "1"\n'
    (project / "pyproject.toml").write_text("\n".join([about, *groups]))
    return project


def test_a_broken_package_is_told_and_left_out(broken, install):
    install(broken)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tasks, methods = list(all_tasks()), list(all_methods())
        assert dock_task("raises") is not None
    assert (tasks, methods) == (OURS, ["drasclr", "joint"])
    texts = [str(warning.message) for warning in told]
    for name, why in WHY.items():
        assert sum(why in text for text in texts) >= 1, (name, texts)


def test_a_broken_package_leaves_the_commands_whole(broken, distribute, tmp_path):
    distribute(broken, tmp_path / "site")
    done = scanlearn(tmp_path / "site", "runs", tmp_path / "none")
    assert done.returncode == 0
    assert "no runs in" in done.stdout
    assert "RuntimeError: no licence" in done.stderr


def test_an_offer_that_cannot_be_shown_is_refused_where_it_is_made():
    class _Config(RecipeConfig):
        name: str = "never-installed"

    def offer(**facts):
        known = {"presets": {"quick": {}}, "settings": ("engine.steps",)}
        return Offer("T", "about", "t", _Config, **(known | facts))

    assert offer().preset("", {})["preset"] == "quick"
    with pytest.raises(BadConfig, match="no preset"):
        offer(presets={})
    for key in ("engine.nothing", "recipe.nothing", "recipe.name.inner"):
        with pytest.raises(BadConfig, match=key):
            offer(settings=(key,))
