"""Work in several processes: nobody else gets in, and none is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from scanlearn.cohort.preparation.dask_cluster import trust_in
from scanlearn.cohort.preparation.local_processes import in_processes
from scanlearn.cohort.preparation.outcome import ProcessKilled
from scanlearn.cohort.preparation.pool import run_all

#: Squares numbers in two processes, and says so; then one of them sleeps.
SCRIPT = """
import sys
from scanlearn.cohort.preparation.local_processes import in_processes
from tests_of_processes import nap

if __name__ == "__main__":
    for outcome in in_processes(nap, [0, 0, 60, 60], 2):
        print(outcome.result, flush=True)
"""
NAP = """
import os, time

def nap(seconds):
    time.sleep(seconds)
    return os.getpid()
"""


def _square_or_die(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_kills_its_process_does_not_stop_the_rest(workers: int) -> None:
    outcomes = {o.item: o for o in run_all(_square_or_die, range(8), workers=workers)}
    assert len(outcomes) == 8
    assert isinstance(outcomes[3].error, ValueError)
    assert isinstance(outcomes[5].error, ProcessKilled)
    for number in (0, 1, 2, 4, 6, 7):
        assert outcomes[number].result == number**2


def _die_once(mark: Path) -> str:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return "alive"
    os.kill(os.getpid(), signal.SIGKILL)
    return "dead"


def test_an_item_that_was_killed_is_tried_once_more_alone(tmp_path: Path) -> None:
    marks = [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    marks[0].touch()
    outcomes = list(in_processes(_die_once, marks, 3))
    assert [outcome.result for outcome in outcomes] == ["alive"] * 3


def _seen_from_outside(_: int) -> list[str]:
    """Return all sockets of this process that another one could connect to."""
    return [
        f"{one.family.name} {one.laddr}"
        for one in psutil.Process().net_connections(kind="all")
        if one.status == psutil.CONN_LISTEN
        or (one.family == getattr(socket, "AF_UNIX", None) and one.laddr)
        or one.type == socket.SOCK_DGRAM
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="lists sockets of POSIX")
def test_no_process_listens() -> None:
    before = _seen_from_outside(0)
    for outcome in in_processes(_seen_from_outside, range(4), 2):
        assert outcome.error is None
        assert outcome.result == []
        assert _seen_from_outside(0) == before
    with socket.socket() as door:  # and a door would be seen
        door.bind(("127.0.0.1", 0))
        door.listen()
        assert len(_seen_from_outside(0)) == len(before) + 1


def _environment(name: str) -> str | None:
    return os.environ.get(name)


def test_each_process_has_one_thread_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    found = {o.item: o.result for o in in_processes(_environment, names, 1)}
    assert found == {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "1"}
    assert "MKL_NUM_THREADS" not in os.environ


def _nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_processes_end_when_nobody_wants_more() -> None:
    started = time.monotonic()
    with closing(in_processes(_nap, [0, 60, 60], 2)) as outcomes:  # type: ignore[type-var]
        first = next(outcomes)
    assert time.monotonic() - started < 30
    assert first.result is not None
    assert not psutil.pid_exists(first.result)


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Return a parent whose two processes are in the middle of an item."""
    (tmp_path / "run.py").write_text(SCRIPT)
    (tmp_path / "tests_of_processes.py").write_text(NAP)
    with subprocess.Popen(
        [sys.executable, tmp_path / "run.py"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        told = [int(parent.stdout.readline()) for _ in range(2)]
        yield parent, told
        parent.kill()


def test_processes_end_with_a_parent_that_is_killed(
    at_work: tuple[subprocess.Popen[str], list[int]],
) -> None:
    parent, _ = at_work
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) >= 2
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0, reason="takes the network away"
)
def test_processes_need_no_network(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(SCRIPT.replace("60, 60", "0, 0"))
    (tmp_path / "tests_of_processes.py").write_text(NAP)
    # In a network of its own, not even the loopback is up.
    command = ["unshare", "--net", sys.executable, str(tmp_path / "run.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare:" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 4


def test_a_cluster_says_whom_it_trusts() -> None:
    assert "every program and account" in trust_in("tcp://host:8786")
    assert "certificates" in trust_in("tls://host:8786")
