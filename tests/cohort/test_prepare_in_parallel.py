"""Preparing in several processes, and being killed while at it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import distributed
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation import dask_cluster, prepare_one
from scanlearn.cohort.preparation.pool import run_all
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadConfig

SCRIPT = """
import signal, sys, time
from pathlib import Path
from scanlearn.cohort.preparation import prepare as module
from scanlearn.config.prepare import PrepareConfig

def tell(done, total, message):
    print(done, total, message, flush=True)
    # Time to be killed between scans, and in the middle of the next one; the last one
    # waits, however slow a machine is to send the signal.
    time.sleep({0: 0, 3: 60}.get(done, 0.2))

if __name__ == "__main__":
    # Tests that a shell started in the background hand down an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module.prepare(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        PrepareConfig(spacing_mm=2.0, workers=0),
        progress=tell,
    )
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_preparation_leaves_whole_scans_and_goes_on(
    sample: Path, tmp_path: Path, how: signal.Signals
) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script, sample / "scans", tmp_path / "cohort"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("2 4"):
                break
        time.sleep(0.3)  # now it is in the middle of the third
        process.send_signal(how)
        assert process.wait(timeout=20) != 0

    cohort = Cohort(tmp_path / "cohort")
    done = cohort.keys()
    assert 2 <= len(done) < 4
    for key in done:
        cohort.voxels(key)
        assert cohort.lungs(key) is not None
    assert set(done) <= set(cohort.sources())

    report = prepare(sample / "scans", tmp_path / "cohort", PrepareConfig(workers=0))
    assert set(report.kept) == set(done)
    assert len(Cohort(tmp_path / "cohort")) == 4
    assert not list((tmp_path / "cohort").rglob(".*"))


def test_local_processes_make_the_same_cohort(
    sample: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(prepared / "private" / "salt", home / "salt")
    monkeypatch.setenv("SCANLEARN_HOME", str(home))
    inputs = tmp_path / "scans"
    shutil.copytree(sample / "scans", inputs)
    (inputs / "broken.nii").write_bytes(b"no header at all")

    report = prepare(
        inputs, tmp_path / "cohort", PrepareConfig(spacing_mm=4.0, workers=2)
    )

    assert [failure.source.name for failure in report.failed] == ["broken.nii"]
    one, two = Cohort(prepared), Cohort(tmp_path / "cohort")
    assert one.fingerprint() == two.fingerprint()
    for key in one.keys():  # noqa: SIM118
        assert (one.voxels(key) == two.voxels(key)).all()


def test_few_items_stay_in_this_process() -> None:
    ((outcome),) = run_all(lambda _: os.getpid(), ["x"])
    assert outcome.result == os.getpid()


def test_a_scheduler_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_cluster, "_PATIENCE_S", 1)
    with pytest.raises(BadConfig, match="no Dask scheduler answers"):
        list(run_all(abs, [1], scheduler="tcp://127.0.0.1:9"))


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """Start a Dask scheduler and a worker, each in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    here = [sys.executable, "-m", "dask"]
    common = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    commands = [
        [*here, "scheduler", *common, "--port", str(port)],
        [*here, "worker", address, *common, "--nworkers", "1", "--nthreads", "1"],
    ]
    processes = []
    try:
        for number, command in enumerate(commands):
            log = (tmp_path / f"dask-{number}.txt").open("w")
            processes.append(
                subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
            )
            log.close()
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(timeout=30)


def test_a_running_scheduler_prepares_the_same_cohort(
    sample: Path,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheduler: str,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(prepared / "private" / "salt", home / "salt")
    monkeypatch.setenv("SCANLEARN_HOME", str(home))
    inputs = tmp_path / "scans"
    shutil.copytree(sample / "scans", inputs)
    (inputs / "broken.nii").write_bytes(b"no header at all")
    source = next((inputs / "nifti").iterdir())
    (inputs / "short.nii.gz").write_bytes(source.read_bytes()[:20000])

    # Whatever would be prepared in this process fails; the worker knows nothing of it.
    def refuse(*_arguments: object, **_settings: object) -> None:
        raise AssertionError("prepared in this process")

    with monkeypatch.context() as here:
        here.setattr(prepare_one, "read_scan", refuse)
        report = prepare(
            inputs,
            tmp_path / "cohort",
            PrepareConfig(spacing_mm=4.0),
            scheduler=scheduler,
        )

    assert {f.source.name for f in report.failed} == {"broken.nii", "short.nii.gz"}
    one, two = Cohort(prepared), Cohort(tmp_path / "cohort")
    assert one.fingerprint() == two.fingerprint()
    for key in one.keys():  # noqa: SIM118
        assert (one.voxels(key) == two.voxels(key)).all()

    # The worker counts what it did: four scans and the short file, whose header is
    # whole. The scheduler outlives us.
    def at_work(dask_worker: distributed.Worker) -> tuple[int, int]:
        return os.getpid(), dask_worker.state.executed_count

    with distributed.Client(scheduler) as client:
        ((pid, count),) = client.run(at_work).values()
        assert pid != os.getpid()
        assert count == 5
