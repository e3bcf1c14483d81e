"""A worker is known by what no clock changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from scanlearn.cohort.preparation import folder as preparing
from scanlearn.errors import BadRun
from scanlearn.processes import birth_mark, is_alive
from scanlearn.runs.folder import RunFolder
from scanlearn.runs.launch import launch

STEPS = (-3600, -1, 1, 3600)


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
        yield psutil.Process(process.pid)
        process.kill()


@pytest.fixture
def set_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, psutil.Process], None]:
    """Return what moves the boot time, as Linux does when its clock is set."""
    if sys.platform != "linux":
        pytest.skip("its processes tell their time by the boot time on Linux alone")

    def step(seconds: int, seen: psutil.Process) -> None:
        facts = Path("/proc/stat").read_text()
        booted = int(facts.partition("btime ")[2].split()[0])
        proc = tmp_path / "proc"
        proc.mkdir()
        (proc / "stat").write_text(
            facts.replace(f"btime {booted}", f"btime {booted + seconds}")
        )
        for pid in {seen.pid, os.getpid()}:
            (proc / str(pid)).symlink_to(f"/proc/{pid}")
        before = psutil.Process(seen.pid).create_time()
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(proc))
        psutil.boot_time()  # psutil before 7.1 reads it only here
        moved = psutil.Process(seen.pid).create_time() - before
        assert moved == pytest.approx(seconds)

    return step


@pytest.mark.parametrize("seconds", STEPS)
def test_a_clock_that_is_set_leaves_a_run_running(
    run: RunFolder,
    sleeper: psutil.Process,
    set_clock: Callable[[int, psutil.Process], None],
    seconds: int,
) -> None:
    run.note_owner(sleeper)
    set_clock(seconds, sleeper)
    assert run.state() == "running"
    with pytest.raises(BadRun, match=str(sleeper.pid)):
        run.claim({})
    with pytest.raises(BadRun, match="already"):
        launch(run)


@pytest.mark.parametrize("seconds", STEPS)
def test_a_clock_that_is_set_leaves_a_stop_and_the_owner(
    run: RunFolder, set_clock: Callable[[int, psutil.Process], None], seconds: int
) -> None:
    run.claim({})
    run.request_stop()
    set_clock(seconds, psutil.Process())
    run.claim({"memory_bytes": 7})
    assert run.stop_file.exists()
    assert run.is_alive()


@pytest.mark.parametrize("seconds", STEPS)
def test_a_clock_that_is_set_leaves_a_cohort_held(
    sleeper: psutil.Process,
    set_clock: Callable[[int, psutil.Process], None],
    seconds: int,
) -> None:
    holder = preparing._identity(sleeper.pid)
    set_clock(seconds, sleeper)
    assert preparing._is_alive(holder)
    sleeper.kill()
    sleeper.wait()
    assert not preparing._is_alive(holder)


def test_a_number_used_again_is_another_process(sleeper: psutil.Process) -> None:
    mark = birth_mark(sleeper.pid)
    assert is_alive(sleeper.pid, mark)
    assert not is_alive(os.getpid(), mark)
    assert not is_alive(sleeper.pid, "")
    sleeper.kill()
    sleeper.wait()
    assert not is_alive(sleeper.pid, mark)
    with pytest.raises(psutil.NoSuchProcess):
        birth_mark(sleeper.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="marks of Linux")
def test_a_mark_is_not_of_another_boot(sleeper: psutil.Process) -> None:
    boot, ticks = birth_mark(sleeper.pid).split()
    assert not is_alive(sleeper.pid, f"{boot[::-1]} {ticks}")
    assert not is_alive(sleeper.pid, f"{boot} {int(ticks) + 1}")
    # psutil reads the same start, in seconds after the boot.
    after_boot = sleeper.create_time() - psutil.boot_time()
    assert int(ticks) / os.sysconf("SC_CLK_TCK") == pytest.approx(after_boot)


def test_a_worker_noted_by_0_1_is_known(
    run: RunFolder, sleeper: psutil.Process
) -> None:
    """0.1 noted the wall-clock time alone."""
    run.note_owner(sleeper)
    old = run.process()
    del old["process_mark"]
    (run.path / "run.json").write_text(json.dumps(old))
    assert run.is_alive()
    old["process_started"] -= 100.0
    (run.path / "run.json").write_text(json.dumps(old))
    assert not run.is_alive()


def test_a_worker_may_be_the_child_of_who_was_launched(run: RunFolder) -> None:
    """Python's launcher on Windows, and torchrun, start the worker themselves."""
    worker = "import sys; from scanlearn.runs.folder import RunFolder as R; "
    worker += "R(sys.argv[1]).claim({})"
    between = "import subprocess, sys; input(); "
    between += "sys.exit(subprocess.call([sys.executable, '-c', *sys.argv[1:]]))"
    command = [sys.executable, "-c", between, worker, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as launched:
        run.note_owner(psutil.Process(launched.pid))
        launched.communicate(b"\n")
    assert launched.returncode == 0
    assert run.process()["pid"] != launched.pid
