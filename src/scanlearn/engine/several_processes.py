"""Starting one process a graphics card, and how they meet: by a file of their own.

``torchrun`` and ``accelerate launch`` listen at a port, where any account of the
machine may speak to them, and read what it says as Python objects. Here the processes
of one machine find each other through a folder that only their owner can open.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist
from torch.multiprocessing.spawn import ProcessExitedException, start_processes

#: Where the file is that the processes meet by.
_MEETING = "SCANLEARN_MEETING"

#: One exports, or labels scans for all, while the others wait.
PATIENCE = timedelta(hours=2)

#: Seconds that the others have to save and go when one has ended.
_GRACE = 30.0


def in_processes(count: int, work: Callable[[str], int], argument: str) -> int:
    """Do the same work in so many processes of this machine; returns the exit status.

    When one fails, the others are ended. A SIGTERM is passed on to all.

    Parameters
    ----------
    count
        How many.
    work
        A function of a module, which returns an exit status.
    argument
        What it is given.
    """
    with tempfile.TemporaryDirectory(prefix="scanlearn-") as folder:
        started = start_processes(
            _one_of_them,
            args=(count, str(Path(folder) / "meeting"), work, argument),
            nprocs=count,
            join=False,
            start_method="spawn",
        )
        signal.signal(
            signal.SIGTERM, lambda *_: [p.terminate() for p in started.processes]
        )
        try:
            while not started.join(grace_period=_GRACE):
                pass
        except ProcessExitedException as ended:
            return int(ended.exit_code)
    return 0


def _one_of_them(
    rank: int, count: int, meeting: str, work: Callable[[str], int], argument: str
) -> None:
    where = {"RANK": rank, "LOCAL_RANK": rank}
    where |= {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(value) for name, value in where.items()})
    os.environ[_MEETING] = meeting
    sys.exit(work(argument))


def is_one_of_several() -> bool:
    """Whether something started this process as one of several."""
    return "RANK" in os.environ


def meet_the_others(*, on_card: bool) -> None:
    """Join the processes that :func:`in_processes` started with this one, if it did."""
    meeting = os.environ.get(_MEETING)
    if meeting is None or dist.is_initialized():
        return
    local = "lo0" if sys.platform == "darwin" else "lo"
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, local)
    rank = int(os.environ["RANK"])
    where: dict[str, Any] = {"rank": rank, "world_size": int(os.environ["WORLD_SIZE"])}
    if on_card:
        torch.cuda.set_device(rank)
    dist.init_process_group(
        "nccl" if on_card else "gloo",
        init_method=f"file://{meeting}",
        timeout=PATIENCE,
        **where,
    )
