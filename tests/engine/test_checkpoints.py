from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from scanlearn.engine.checkpoints import Checkpoints
from scanlearn.errors import BadRun


class Killed(BaseException):
    """What no code of the project catches, like a process that is no more."""


@pytest.fixture
def states(tmp_path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def state(step: int) -> dict:
    return {"step": step, "weights": torch.full((3,), float(step)), "best": None}


def test_a_state_comes_back_as_it_was(states):
    saved = {
        "step": 3,
        "recipe": {"w": torch.arange(4.0), "n": torch.tensor(5)},
        "memory": {"queue": [torch.ones(2)], "names": ["a"]},
        "best": 0.5,
    }
    states.save("last", saved)
    loaded = states.load("last")
    assert loaded.keys() == saved.keys()
    assert torch.equal(loaded["recipe"]["w"], saved["recipe"]["w"])
    assert torch.equal(loaded["memory"]["queue"][0], torch.ones(2))
    assert (loaded["step"], loaded["best"]) == (3, 0.5)


def test_there_is_no_state_before_the_first(states):
    assert states.load("last") is None


def test_a_new_state_takes_the_place_of_the_old_and_leaves_nothing(states):
    for step in (1, 2, 3):
        states.save("last", state(step))
        states.save("best", state(10 * step))
    assert states.load("last")["step"] == 3
    assert states.load("best")["step"] == 30
    assert sorted(path.name for path in states.folder.iterdir()) == ["best", "last"]


def _kill_at(monkeypatch, number: int) -> list[str]:
    """Let the process die at one call that touches the disk; returns the calls."""
    calls: list[str] = []

    def mortal(name, do):
        def call(*args, **kwargs):
            calls.append(name)
            if len(calls) == number:
                raise Killed
            return do(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "rename", mortal("rename", os.rename))
    monkeypatch.setattr(shutil, "rmtree", mortal("rmtree", shutil.rmtree))
    monkeypatch.setattr(Path, "mkdir", mortal("mkdir", Path.mkdir))
    monkeypatch.setattr(torch, "save", mortal("save", torch.save))
    return calls


def test_whoever_is_killed_leaves_the_old_state_or_the_new_one(states):
    states.save("last", state(0))
    survived, number = [], 0
    finished = False
    while not finished:
        number += 1
        with pytest.MonkeyPatch.context() as patch:
            calls = _kill_at(patch, number)
            try:
                states.save("last", state(number))
                finished = True
            except Killed:
                pass
        loaded = Checkpoints(states.folder).load("last")
        assert loaded["step"] in (number, *survived[-1:], 0)
        assert torch.equal(loaded["weights"], torch.full((3,), float(loaded["step"])))
        survived.append(loaded["step"])
    assert calls.count("rename") == 3
    assert survived == sorted(survived)
    assert survived[-1] == number
    assert [path.name for path in states.folder.iterdir()] == ["last"]


def test_two_deaths_in_a_row_lose_nothing(states):
    """Between a death and the next save nobody need have read the state."""
    for first in range(1, 12):
        for second in range(1, 12):
            shutil.rmtree(states.folder)
            states.folder.mkdir()
            states.save("last", state(0))
            for step, number in ((1, first), (2, second)):
                with pytest.MonkeyPatch.context() as patch:
                    _kill_at(patch, number)
                    try:
                        states.save("last", state(step))
                    except Killed:
                        continue
            assert Checkpoints(states.folder).load("last")["step"] in (0, 1, 2)


_SAVER = """
import sys
from pathlib import Path
import torch
from scanlearn.engine.checkpoints import Checkpoints
states = Checkpoints(Path(sys.argv[1]))
step = 0
while True:
    step += 1
    states.save("last", {"step": step, "weights": torch.full((20_000,), float(step))})
    print(step, flush=True)
"""


def test_a_process_killed_while_saving_leaves_a_whole_state(tmp_path):
    folder = tmp_path / "checkpoints"
    command = [sys.executable, "-c", _SAVER, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(5):
        process.stdout.readline()
    time.sleep(0.0371)
    process.send_signal(signal.SIGKILL)
    told = [5, *(int(line) for line in process.stdout)]
    process.wait()
    loaded = Checkpoints(folder).load("last")
    assert loaded["step"] in (told[-1], told[-1] + 1)
    assert bool((loaded["weights"] == loaded["step"]).all())


def test_a_half_written_state_is_not_taken_up(states):
    states.save("last", state(1))
    part = states.folder / ".last.part"
    part.mkdir()
    (part / "state.pt").write_bytes(b"half")
    assert states.load("last")["step"] == 1
    states.save("last", state(2))
    assert states.load("last")["step"] == 2
    assert not part.exists()


class _Harmful:
    def __reduce__(self):
        return (os.mkdir, (str(_Harmful.target),))

    target = Path()


def test_no_code_of_a_strangers_checkpoint_runs(states, tmp_path):
    _Harmful.target = tmp_path / "harmed"
    (states.folder / "last").mkdir()
    path = states.folder / "last" / "state.pt"
    torch.save({"step": 1, "recipe": _Harmful()}, path)
    with pytest.raises(BadRun, match=r"state\.pt"):
        states.load("last")
    path.write_bytes(pickle.dumps(_Harmful()))
    with pytest.raises(BadRun, match=r"state\.pt"):
        states.load("last")
    assert not _Harmful.target.exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_state_is_told(states, content):
    (states.folder / "last").mkdir()
    (states.folder / "last" / "state.pt").write_bytes(content)
    with pytest.raises(BadRun, match=r"state\.pt cannot be read.*Delete its") as told:
        states.load("last")
    assert "\n" not in str(told.value)


def test_a_truncated_state_is_told(states):
    states.save("last", state(1))
    path = states.folder / "last" / "state.pt"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadRun, match=r"state\.pt"):
        states.load("last")


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_keeps_the_state_before_and_says_why(tmp_path: Path) -> None:
    code = (
        "import resource, sys, torch\n"
        "from pathlib import Path\n"
        "from scanlearn.engine.checkpoints import Checkpoints\n"
        "from scanlearn.errors import of_the_world\n"
        "states = Checkpoints(Path(sys.argv[1]))\n"
        "states.save('last', {'w': torch.zeros(9)})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    states.save('last', {'w': torch.zeros(1_000_000)})\n"
        "except OSError as error:\n"
        "    print(of_the_world(error))\n"
    )
    folder = tmp_path / "checkpoints"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "larger than is allowed" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["last"]
    assert Checkpoints(folder).load("last")["w"].shape == (9,)
