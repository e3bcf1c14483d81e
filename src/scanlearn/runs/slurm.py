"""A batch script with which a cluster trains a run, as often as it takes."""

from __future__ import annotations

import shlex
import sys

from scanlearn.runs.folder import RunFolder

#: Seconds before the end of its time at which a job saves and is queued again.
_BEFORE_THE_END = 300

_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --output={log}
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node={cards}
#SBATCH --gpus-per-node={cards}
#SBATCH --cpus-per-task={cores}
#SBATCH --time={hours}:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@{before}
# Add what your cluster asks for: --partition, --account, --mem.

# Each card has a task of its own. They meet at a port of this machine,
# and trust whoever reaches it. A run goes on from where it stands: a job
# that was taken away and queued again resumes by itself.
run={run}
python={python}
export MASTER_ADDR=$(hostname)
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
again=
trap 'again=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

srun --kill-on-bad-exit=1 bash -c '
  export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID
  export WORLD_SIZE=$SLURM_NTASKS LOCAL_WORLD_SIZE={cards}
  exec "$1" -m scanlearn.worker "$0"' "$run" "$python" &
step=$!
wait "$step"
status=$?
if [ -n "$again" ]; then
  # The signal ended the waiting: the tasks finish their step and save.
  wait "$step"
  status=$?
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
"""


def batch_script(run: RunFolder, *, cards: int, hours: int, cores: int = 8) -> str:
    """Return a script for ``sbatch``: requeue, resume by itself, one task a card.

    Parameters
    ----------
    run
        On a disk that the cluster sees under the same path.
    cards, hours, cores
        Graphics cards of one machine, the longest time of a job, and cores a card.
    """
    return _SCRIPT.format(
        name=shlex.quote(run.name),
        log=f"{run.path}/slurm.txt".replace(" ", "\\ "),
        run=shlex.quote(str(run.path)),
        python=shlex.quote(sys.executable),
        cards=cards,
        hours=hours,
        cores=cores,
        before=_BEFORE_THE_END,
    )
