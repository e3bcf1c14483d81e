"""Two processes learn what one does with the same global batch, by gloo in fp32."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from scanlearn.config.run import to_yaml
from scanlearn.engine.checkpoints import Checkpoints
from scanlearn.randomness import seed_everything
from scanlearn.runs.events import Finished, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.runs.launch import launch
from scanlearn.worker import learned_by, train_run


def together(runs: list[Path], *, count: int = 2) -> None:
    """Train runs in so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = str(Path(__file__).with_name("two_processes.py"))
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    where |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    where |= {"OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, script, *map(str, runs)],
            env=os.environ | where | {"RANK": str(n), "LOCAL_RANK": str(n)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(count)
    ]
    told = [worker.communicate(timeout=800)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * count, "\n".join(told)


@pytest.fixture(scope="module")
def trained(
    every_recipe, tmp_path_factory
) -> Callable[[str], tuple[RunFolder, RunFolder]]:
    """Return a run trained by one process, and its copy trained by two."""
    base = tmp_path_factory.mktemp("several")
    runs, copies = (
        {
            name: RunFolder(shutil.copytree(run.path, base / f"{name} {count}"))
            for name, run in every_recipe.items()
            if name != "crops"  # learns as whole slices do
        }
        for count in (1, 2)
    )
    together([copy.path for copy in copies.values()])

    def pair(name: str) -> tuple[RunFolder, RunFolder]:
        assert isinstance(list(train_run(runs[name]))[-1], Finished)
        return runs[name], copies[name]

    return pair


@pytest.mark.timeout(900)  # all of them are trained before the first
@pytest.mark.parametrize(
    "name",
    [
        *("patches", "patches queue", "slices swav", "slices deepcluster"),
        *("volumes", "whole slices", "spheres", "boxes"),
    ],
)
def test_two_processes_learn_what_one_does(trained, name) -> None:
    """Every loss of 20 steps is the same, and what was learned, to rounding."""
    one, two = trained(name)
    assert two.process()["processes"] == 2
    told = [[e for e in run.events() if isinstance(e, Step)] for run in (one, two)]
    assert [len(steps) for steps in told] == [20, 20]
    for mine, theirs in zip(*told, strict=True):
        assert theirs.values == pytest.approx(mine.values, rel=1e-4, abs=1e-5)
    seed_everything(0, "initial weights")
    begun = learned_by(one.config()).learn(one.config(), one).state_dict()
    states = [Checkpoints(run.checkpoints).load("last") for run in (one, two)]
    mine, theirs = (state["recipe"] for state in states if state)
    assert mine.keys() == theirs.keys() == begun.keys()
    learned = 0.0
    for key, value in mine.items():
        moved, off = (distance(value, x) for x in (begun[key], theirs[key]))
        assert off <= 0.05 * moved + 1e-6 * (1 + distance(value, 0 * value)), key
        learned = max(learned, moved)
    assert learned > 1e-3


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).double().norm())


def test_a_run_that_asks_for_processes_gets_them(every_recipe, tmp_path) -> None:
    """The worker of a dock becomes the parent of as many, and they end with it."""
    run = RunFolder(shutil.copytree(every_recipe["spheres"].path, tmp_path / "run"))
    file = run.path / "config.yaml"
    changed = run.config().engine.model_copy(update={"steps": 3, "processes": 2})
    config = run.config().model_copy(update={"engine": changed})
    file.write_text(to_yaml(config), encoding="utf-8")
    worker = launch(run)
    assert worker.wait(timeout=300) == 0, run.log.read_text()
    assert isinstance(run.events()[-1], Finished)
    assert run.process()["processes"] == 2
    assert run.state() == "finished"
