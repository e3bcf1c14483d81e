from __future__ import annotations

import shutil
import subprocess
import sys
import time

import psutil

from scanlearn.runs.events import Crashed, Finished, Started, Step
from scanlearn.runs.folder import EventLog
from scanlearn.runs.follow import follow
from scanlearn.runs.jobs import Job
from scanlearn.runs.launch import launch

_WORKER = """
import sys, time
from scanlearn.runs.folder import RunFolder, EventLog
from scanlearn.runs.events import Started, Step, Finished
run = RunFolder(sys.argv[1])
run.claim({})
log = EventLog(run)
log.write(Started(steps=3))
for step in range(1, 4):
    time.sleep(0.1)
    log.write(Step(step=step, values={"loss": 1.0 / step}))
if sys.argv[2] == "finish":
    log.write(Finished(step=3))
else:
    print("out of memory", flush=True)
"""


def _start(run, ending):
    with run.log.open("ab") as log:
        command = [sys.executable, "-c", _WORKER, str(run.path), ending]
        worker = subprocess.Popen(command, stdout=log)
    run.note_owner(psutil.Process(worker.pid))
    return worker


def test_a_real_worker_is_followed_to_its_end(run):
    worker = _start(run, "finish")
    events = list(follow(run, heartbeat_seconds=0.02))
    worker.wait()
    told = [event for event in events if event is not None]
    assert [type(event) for event in told] == [Started, Step, Step, Step, Finished]
    assert None in events
    assert run.state() == "finished"


def test_a_worker_that_vanishes_is_reported_with_its_log(run):
    worker = _start(run, "vanish")
    told = [event for event in follow(run, heartbeat_seconds=0.02) if event]
    worker.wait()
    assert isinstance(told[-1], Crashed)
    assert "out of memory" in told[-1].details


def test_a_watcher_hears_a_heartbeat_while_nothing_happens(run):
    watcher = follow(run, heartbeat_seconds=0.01)
    begun = time.monotonic()
    assert [next(watcher) for _ in range(3)] == [None, None, None]
    assert time.monotonic() - begun < 1.0


def test_a_deleted_run_ends_its_watcher(run):
    watcher = follow(run, heartbeat_seconds=0.01)
    assert next(watcher) is None
    shutil.rmtree(run.path)
    (last,) = [event for event in watcher if event]
    assert "deleted" in last.error
    assert not run.path.exists()


def test_following_from_now_on_skips_the_past(run):
    log = EventLog(run)
    log.write(Started(steps=1))
    watcher = follow(run, from_start=False, heartbeat_seconds=0.01)
    log.write(Finished(step=1))
    log.close()
    assert [event.kind for event in watcher if event] == ["finished"]


def test_a_launched_worker_that_fails_early_crashes_visibly(run):
    # The run's cohort does not exist: the worker starts, finds out and says so.
    launch(run)
    told = [event for event in follow(run) if event is not None]
    assert isinstance(told[-1], Crashed)
    assert told[-1].mendable
    assert "cohort" in told[-1].error


def test_a_job_passes_on_the_events_of_a_command(tmp_path):
    missing = tmp_path / "missing"
    job = Job(["prepare", str(missing), str(tmp_path / "cohort")])
    told = [event for event in job.events() if event is not None]
    assert isinstance(told[-1], Crashed)
    assert told[-1].mendable
    assert str(missing) in told[-1].error


def test_a_cancelled_job_ends():
    job = Job(["device"])
    job.cancel()
    told = [event for event in job.events() if event is not None]
    assert isinstance(told[-1], Crashed)
