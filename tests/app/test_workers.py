"""Trainings in real processes: killed, stopped, crashed, and what they leave."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest
import torch

from scanlearn.encoders.encoder_file import load_encoder
from scanlearn.engine.checkpoints import Checkpoints
from scanlearn.errors import BadRun
from scanlearn.pretraining.drasclr import DrasclrMethod
from scanlearn.runs.events import Crashed, Finished, Saved, Step, Stopped
from scanlearn.runs.folder import RunFolder
from scanlearn.runs.follow import follow
from scanlearn.runs.launch import launch
from scanlearn.worker import main, train_run

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def wait_for(run, kind):
    """Follow a run until it says a certain thing."""
    for event in follow(run, heartbeat_seconds=0.005):
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__}: {run.crash_report()}")


def tensors_of(run):
    return flattened(Checkpoints(run.checkpoints).load("last"))


def flattened(value, name=""):
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    else:
        return {name: value}
    return {k: v for key, x in parts for k, v in flattened(x, f"{name}.{key}").items()}


@pytest.fixture(scope="module")
def resumed(pretraining):
    """Return a run whose worker was killed after its first checkpoint, then resumed."""
    run = pretraining("killed")
    worker = launch(run)
    saved = wait_for(run, Saved)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert saved.step == 5
    assert run.state() == "lost"
    assert "vanished" in run.crash_report()
    assert launch(run).wait() == 0
    return run


def test_a_killed_training_is_resumed_to_the_same_weights(resumed, pretraining):
    assert resumed.state() == "finished"
    starts = [event.step for event in resumed.events() if event.kind == "started"]
    assert starts[0] == 0
    assert starts[1] in range(5, resumed.config().engine.steps, 5)

    whole = pretraining("whole")
    assert isinstance(list(train_run(whole))[-1], Finished)
    mine, theirs = tensors_of(resumed), tensors_of(whole)
    assert mine.keys() == theirs.keys()
    assert len([x for x in mine.values() if isinstance(x, torch.Tensor)]) > 50
    for name, value in mine.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, theirs[name]), name
        else:
            assert value == theirs[name], name
    weights = [run.checkpoints / "encoder.safetensors" for run in (resumed, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_run_names_no_patient(resumed, tiny_cohort):
    """Phantoms are called PHANTOM-0001 and so on in their headers and file names."""
    assert b"PHANTOM" in (tiny_cohort / "private" / "sources.csv").read_bytes()
    files = [path for path in resumed.path.rglob("*") if path.is_file()]
    assert {"state.pt", "events.jsonl", "log.txt", "config.yaml", "run.json"} <= {
        path.name for path in files
    }
    for path in files:
        assert b"phantom" not in path.read_bytes().lower(), path
        assert "phantom" not in path.name.lower()


@pytest.fixture
def heard():
    """Undo what a shell does to what it starts in the background: ignore SIGINT."""
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("how", [None, *STOPPING])
def test_a_stopped_training_leaves_a_usable_encoder(pretraining, heard, how):
    run = pretraining(f"stopped by {how}", steps=100_000, save_every=100_000)
    worker = launch(run)
    wait_for(run, Step)
    if how is None:
        run.request_stop()
    else:
        worker.send_signal(how)
    assert worker.wait(timeout=60) == 0
    assert run.state() == "stopped"
    *events, stopped = run.events()
    saved = [event for event in events if isinstance(event, Saved)]
    assert isinstance(stopped, Stopped)
    assert stopped.step == saved[-1].step > 0
    encoder, card = load_encoder(run.path)
    assert card.step == stopped.step
    with torch.no_grad():
        vectors = encoder(torch.zeros(2, 1, 16, 16, 16), torch.zeros(2, 3))
    assert vectors.shape == (2, 8)
    assert bool(vectors.isfinite().all())


def test_a_worker_whose_run_is_deleted_ends(pretraining):
    run = pretraining("deleted", steps=100_000, save_every=100_000)
    worker = launch(run)
    wait_for(run, Step)
    shutil.rmtree(run.path)
    assert worker.wait(timeout=60) == 2
    assert not run.path.exists()


def test_a_training_that_diverges_fails_and_goes_on_slower(pretraining, scanlearn):
    """At so high a rate the first step is too far: its batch norms overflow."""
    changes = {"optimiser": {"name": "sgd", "learning_rate": 1e12}}
    run = pretraining("diverging", recipe=changes, steps=12, save_every=1)
    assert launch(run).wait() == 1
    last = run.last_event()
    assert isinstance(last, Crashed)
    assert last.diverged
    assert "-s optimiser.learning_rate=" in last.error
    assert run.state() == "crashed"
    encoder, card = load_encoder(run.path)
    saved = Checkpoints(run.checkpoints).load("last")["step"]
    assert card.step == saved < 12
    for weights in encoder.state_dict().values():
        assert bool(weights.isfinite().all())
    answer = scanlearn("resume", run.path, "-s", "optimiser.learning_rate=1e-4")
    assert answer.status == 0, answer.err
    told = [event.text for event in run.events() if event.kind == "message"]
    assert any("optimiser.learning_rate is 0.0001" in text for text in told)
    starts = [event.step for event in run.events() if event.kind == "started"]
    assert starts == [0, saved]


def test_a_second_worker_is_refused(pretraining, capsys):
    run = pretraining("busy")
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        run.note_owner(psutil.Process(sleeper.pid))
        with pytest.raises(BadRun, match="being trained already"):
            launch(run)
        assert main([str(run.path)]) == 2
    finally:
        sleeper.kill()
        sleeper.wait()
    assert f"process {sleeper.pid}" in capsys.readouterr().err
    assert run.events() == []
    assert not list(run.checkpoints.iterdir())


def test_a_training_whose_cohort_is_gone_says_what_to_do(
    pretraining, tiny_cohort, tmp_path, capsys
):
    cohort = shutil.copytree(tiny_cohort, tmp_path / "gone")
    run = pretraining("crashed", cohort=cohort)
    shutil.rmtree(cohort)
    assert main([str(run.path)]) == 2
    last = run.last_event()
    assert isinstance(last, Crashed)
    assert last.mendable
    assert str(cohort) in last.error
    assert "Traceback" in capsys.readouterr().err


def test_a_device_that_is_absent_is_told_in_the_run(pretraining, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run = pretraining("no_gpu", device="cuda")
    assert main([str(run.path)]) == 2
    last = run.last_event()
    assert isinstance(last, Crashed)
    assert last.mendable
    assert "engine.device" in last.error


def test_an_internal_error_is_told_with_its_traceback(pretraining, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(DrasclrMethod, "learn", broken)
    run = pretraining("broken")
    assert main([str(run.path)]) == 1
    last = run.last_event()
    assert isinstance(last, Crashed)
    assert not last.mendable
    assert last.error == "ZeroDivisionError: no such luck"
    assert "Traceback" in last.details


def test_no_run_and_no_argument_are_told(tmp_path, capsys):
    assert main([]) == 2
    assert main([str(tmp_path)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("usage:")
    assert f"{tmp_path} is no run" in told[1]
    assert len(told) == 2


def test_a_run_notes_what_made_it(pretraining):
    run = pretraining("facts", steps=1)
    list(train_run(run))
    facts = run.process()
    assert facts["pid"] == os.getpid()
    assert (facts["device"], facts["precision"], facts["seed"]) == ("cpu", "no", 0)
    assert {"python", "torch", "numpy", "napari-scanlearn"} <= facts["versions"].keys()
    assert list(facts["cohorts"]) == ["cohort"]
    assert not isinstance(RunFolder(run.path).last_event(), Crashed)
