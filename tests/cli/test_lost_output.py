"""What cannot be printed is no error of ours: the work is done all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scanlearn.config.run import merge, parse_run_config
from scanlearn.pretraining.registry import method_named
from scanlearn.runs.folder import RunFolder

FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="has no full disk at hand")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    data = method_named("drasclr").offer.preset("quick", {})
    config = parse_run_config(merge(data, {"kind": "pretrain", "cohorts": ["none"]}))
    for number in range(2):
        RunFolder.create(tmp_path / "runs" / f"run {number}", config)
    return tmp_path / "runs"


def scanlearn(
    arguments: list[str], redirection: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scanlearn", *arguments]
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$@" {redirection}', "-", *command],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("redirection", ["| head -1", "| true", ">&-", "2>/dev/full"])
def test_a_reader_that_has_seen_enough_is_no_error(
    runs: Path, redirection: str
) -> None:
    done = scanlearn(["runs", str(runs), "--json"], redirection)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["runs", "{runs}"], ["--help"], ["device"]])
def test_a_full_disk_behind_stdout_is_told_in_a_line(
    runs: Path, arguments: list[str]
) -> None:
    done = scanlearn([one.format(runs=runs) for one in arguments], ">/dev/full")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "No space left" in line


def test_a_full_disk_behind_stderr_leaves_the_status(runs: Path) -> None:
    done = scanlearn(["stop", str(runs / "run 0")], "2>/dev/full")
    assert done.returncode == 2
    assert done.stdout == ""


def test_who_follows_by_events_ends_the_work_by_going_away() -> None:
    done = scanlearn(["device", "--events"], "| true")
    assert (done.returncode, done.stderr) == (1, "")


def test_a_worker_whose_log_cannot_grow_still_tells_its_run(runs: Path) -> None:
    """Its cohort does not exist: the words for the log are lost, the event is not."""
    run = RunFolder(runs / "run 0")
    command = [sys.executable, "-m", "scanlearn.worker", str(run.path)]
    with FULL.open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=full, check=False)
    assert done.returncode == 2
    assert run.state() == "crashed"
    assert "cohort" in str(run.last_event())
