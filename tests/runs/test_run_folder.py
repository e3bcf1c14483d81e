from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from scanlearn.errors import BadRun
from scanlearn.runs.events import (
    Crashed,
    Finished,
    Message,
    Started,
    Step,
    Stopped,
    parse_event,
)
from scanlearn.runs.folder import EventLog, RunFolder, find_runs, new_run_path


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_new_run_holds_its_configuration(run, config):
    assert run.config() == config
    assert run.state() == "new"
    assert run.events() == []
    assert run.last_event() is None


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(BadRun, match="is no run"):
        RunFolder(tmp_path)
    with pytest.raises(BadRun, match="does not exist"):
        RunFolder(tmp_path / "none")


def test_an_existing_folder_is_never_overwritten(tmp_path, config):
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadRun, match="exists already"):
        RunFolder.create(tmp_path / "mine", config)


def test_a_failed_creation_leaves_nothing(tmp_path, config):
    with pytest.raises(FileNotFoundError):
        RunFolder.create(tmp_path / "run", config, inputs=tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_inputs_become_the_runs_own(tmp_path, config):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("x")
    run = RunFolder.create(tmp_path / "run", config, inputs=tmp_path / "labels")
    assert (run.inputs / "a.txt").read_text() == "x"
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (Finished(step=3), "finished"),
        (Stopped(step=3), "stopped"),
        (Crashed(error="no"), "crashed"),
    ],
)
def test_the_last_words_tell_the_state(run, last, state):
    log = EventLog(run)
    log.write(Started(steps=5))
    log.write(last)
    log.close()
    assert run.state() == state
    assert run.events()[-1] == last == run.last_event()


def test_half_a_line_is_not_read_and_then_mended(run):
    log = EventLog(run)
    log.write(Step(step=1, values={"loss": 1.0}))
    log.close()
    with run.events_file.open("ab") as file:
        file.write(b'{"kind": "step", "st')
    assert [event.step for event in run.events()] == [1]
    log = EventLog(run)
    log.write(Step(step=2, values={}))
    log.close()
    assert [event.step for event in run.events()] == [1, 2]


def test_events_of_a_newer_worker_are_still_read():
    event = parse_event('{"kind": "message", "time": 1.0, "text": "x", "new": 3}')
    assert event == Message(time=1.0, text="x")


def test_a_live_worker_makes_a_run_running_and_a_second_is_refused(run, sleeper):
    run.note_owner(psutil.Process(sleeper.pid))
    assert run.state() == "running"
    with pytest.raises(BadRun, match=str(sleeper.pid)):
        run.claim({})


def test_a_killed_worker_leaves_the_run_lost(run, sleeper):
    run.note_owner(psutil.Process(sleeper.pid))
    run.kill()
    sleeper.wait(timeout=10)
    assert run.state() == "lost"


def test_a_process_id_used_again_is_not_the_worker(run):
    run.claim({})
    facts = run.process()
    facts["process_mark"] += "0"
    (run.path / "run.json").write_text(json.dumps(facts))
    assert not run.is_alive()


def test_a_worker_on_another_machine_lives_while_it_speaks(run):
    run.claim({})
    facts = run.process() | {"host": f"not-{socket.gethostname()}"}
    (run.path / "run.json").write_text(json.dumps(facts))
    log = EventLog(run)
    log.write(Started(steps=5))
    log.close()
    assert run.state() == "running"
    long_ago = time.time() - 7200
    os.utime(run.events_file, (long_ago, long_ago))
    assert run.state() == "lost"


def test_runs_are_listed_newest_first(tmp_path, config):
    for name in ("old", "new"):
        RunFolder.create(tmp_path / name, config)
    os.utime(tmp_path / "old" / "config.yaml", (1, 1))
    (tmp_path / "other").mkdir()
    assert [run.name for run in find_runs(tmp_path)] == ["new", "old"]


def test_a_free_name_is_found(tmp_path):
    first = new_run_path(tmp_path, "drasclr_chest")
    first.mkdir()
    second = new_run_path(tmp_path, "drasclr_chest")
    assert first.name.endswith("_drasclr_chest")
    assert second.name == f"{first.name}_2"


def test_a_stop_meant_for_an_earlier_worker_does_not_stop_this_one(run):
    run.request_stop()
    os.utime(run.stop_file, (1, 1))
    run.claim({})
    assert not run.stop_file.exists()
    run.request_stop()
    run.claim({})
    assert run.stop_file.exists()
