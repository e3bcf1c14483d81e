"""Starting a worker: a process of its own that outlives whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psutil

from scanlearn.errors import BadRun
from scanlearn.runs.folder import RunFolder

#: How much a worker's priority lies below that of whoever starts it (POSIX).
_NICER = 5


def launch(run: RunFolder) -> subprocess.Popen[bytes]:
    """Train a run in a new process and return at once.

    What the process prints goes to the run's log. It belongs to no terminal or window:
    closing napari leaves it running. A run that already has a worker is refused.
    """
    if run.is_alive():
        raise BadRun(
            f"{run.name} is being trained already", next_step="Watch it, or stop it"
        )
    command = [sys.executable, "-m", "scanlearn.worker", str(run.path)]
    run.clear()
    with run.log.open("ab") as log:
        worker = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            **_detached(),
        )
    give_way(worker.pid)
    # Noted here, so that whoever looks next sees a live run while torch is imported.
    run.note_owner(psutil.Process(worker.pid))
    return worker


def give_way(pid: int) -> None:
    """Lower the priority of a process just started, so that windows stay usable."""
    try:
        process = psutil.Process(pid)
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(min(process.nice() + _NICER, 19))
    except psutil.Error:
        return  # it has ended already, or belongs to another user


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
        return {"creationflags": flags}
    return {"start_new_session": True}
