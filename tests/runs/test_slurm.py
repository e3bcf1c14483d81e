"""The batch script, by shells that say they are a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

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
[ "$WAITS" = yes ] && kill -USR1 "$SHELL_ID" && while true; do sleep 0.05; done
exit 0""",
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
