"""The batch script, by shells that say they are a cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from scanlearn.errors import BadRun
from scanlearn.runs.events import Finished, Started, Step
from scanlearn.runs.folder import EventLog
from scanlearn.runs.follow import follow
from scanlearn.runs.slurm import batch_script

if shutil.which("bash") is None:
    pytest.skip("no bash", allow_module_level=True)

#: Each says what it was asked for; ``srun`` runs its tasks, ``scancel`` ends them.
_COMMANDS = {
    "srun": """
[ "$1" = --kill-on-bad-exit=1 ] && shift
for task in 0 1; do
  SLURM_PROCID=$task SLURM_LOCALID=$task SLURM_NTASKS=2 "$@" & echo $! >> "$TOLD.tasks"
done
wait -n; first=$?; wait; exit $first""",
    "scancel": 'echo scancel "$@" >> "$TOLD"; kill -TERM $(cat "$TOLD.tasks")',
    "scontrol": 'echo scontrol "$@" >> "$TOLD"',
    "python": """
echo "task $RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $*" >> "$TOLD"
[ -n "$MASTER_ADDR" ] && [ "$MASTER_PORT" = 20123 ] || exit 9
trap 'echo saved >> "$TOLD"; exit 0' TERM
[ "$WAITS" = yes ] || exit 0
echo ready >> "$TOLD.ready"
# The end comes when both are at work.
if [ "$RANK" = 0 ]; then
  until [ "$(cat "$TOLD.ready" "$TOLD.tasks" | wc -l)" = 4 ]; do sleep 0.05; done
  kill -USR1 "$SHELL_ID"
fi
while true; do sleep 0.05; done""",
}


def submit(run, folder: Path, monkeypatch, *, waits: str) -> tuple[int, list[str]]:
    """Run the script; returns its status, and what the cluster was told."""
    bin_ = folder / "bin"
    bin_.mkdir()
    for name, body in _COMMANDS.items():
        (bin_ / name).write_text(f"#!/bin/bash\n{body}\n")
        (bin_ / name).chmod(0o755)
    monkeypatch.setattr("sys.executable", str(bin_ / "python"))
    text = batch_script(run, cards=2, hours=3)
    script = folder / "train.sh"
    # A signal of the cluster goes to the shell of the script.
    script.write_text(text.replace("again=\n", "again=\nexport SHELL_ID=$$\n"))
    told = folder / "told"
    env = os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}", "TOLD": str(told)}
    env |= {"SLURM_JOB_ID": "123", "WAITS": waits}
    done = subprocess.run(["bash", str(script)], env=env, timeout=60, check=False)
    return done.returncode, told.read_text().splitlines()


def test_a_task_for_each_card(run, tmp_path, monkeypatch) -> None:
    status, told = submit(run, tmp_path, monkeypatch, waits="")
    assert status == 0
    expected = [f"task {n} {n} 2 2 -m scanlearn.worker {run.path}" for n in (0, 1)]
    assert sorted(told) == expected


def test_a_job_at_its_end_saves_and_is_queued_again(run, tmp_path, monkeypatch) -> None:
    status, told = submit(run, tmp_path, monkeypatch, waits="yes")
    assert status == 0
    assert told.count("saved") == 2
    assert "scancel --signal=TERM 123" in told
    assert told[-1] == "scontrol requeue 123"


def test_what_the_cluster_is_asked_for(run) -> None:
    text = batch_script(run, cards=4, hours=12)
    asked = {line[8:] for line in text.splitlines() if line.startswith("#SBATCH ")}
    assert {"--requeue", "--ntasks-per-node=4", "--time=12:00:00"} <= asked
    assert text.startswith("#!/bin/bash\n")


def test_what_another_machine_trains_is_followed(run) -> None:
    """On a shared disk: there is no process to ask, only the story."""
    run.note_owner(psutil.Process())
    owner = run.process() | {"host": "node-17", "pid": 1}
    (run.path / "run.json").write_text(json.dumps(owner))
    log = EventLog(run)
    log.write(Started(steps=2))
    heard = follow(run, heartbeat_seconds=0.01)
    assert isinstance(next(heard), Started)
    assert next(heard) is None
    assert run.state() == "running"
    log.write(Step(step=1, values={"loss": 1.0}))
    log.write(Finished(step=2))
    log.close()
    rest = [event for event in heard if event is not None]
    assert [type(event) for event in rest] == [Step, Finished]
    assert run.state() == "finished"


def test_a_job_that_was_queued_again_takes_its_run_up(run, monkeypatch) -> None:
    """Its first machine vanished without a word: no other job may take the run."""
    monkeypatch.setenv("SLURM_JOB_ID", "123")
    run.claim({})
    owner = run.process() | {"host": "node-17", "pid": 1}
    (run.path / "run.json").write_text(json.dumps(owner))
    monkeypatch.setenv("SLURM_JOB_ID", "124")
    with pytest.raises(BadRun, match="is being trained"):
        run.claim({})
    monkeypatch.setenv("SLURM_JOB_ID", "123")
    run.claim({})
    assert run.process()["pid"] == os.getpid()
