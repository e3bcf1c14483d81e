"""Running one function over many items: here, in local processes, or on a cluster.

Only a few items are in flight at a time, so that memory does not grow with their
number, and one that fails or kills its process does not stop the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence

from scanlearn.cohort.preparation.dask_cluster import on_cluster
from scanlearn.cohort.preparation.local_processes import in_processes
from scanlearn.cohort.preparation.outcome import Item, Outcome, Result

#: Reading, resampling and masking a large CT takes about this much at its peak.
_PROCESS_BYTES = 3 * 2**30

#: Starting processes takes longer than this many scans do here.
_WORTH_PROCESSES = 3


def run_all(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Generator[Outcome[Item, Result]]:
    """Apply a function to every item and yield outcomes as they come, in any order.

    An item whose process is killed is tried once more, alone.

    Parameters
    ----------
    function, items
        Both travel to other processes: the function is at the top of a module.
    workers
        Processes; 0 for none, by default as many as cores and memory allow.
    scheduler
        Address of a running Dask scheduler, used instead of processes here. Its
        machines must see the same files.

    Raises
    ------
    BadConfig
        If there is no scheduler at the address.
    """
    count = local_workers(len(items)) if workers is None else workers
    few = workers is None and len(items) < _WORTH_PROCESSES
    if scheduler is not None:
        yield from on_cluster(function, items, scheduler)
    elif count == 0 or few:
        yield from _here(function, items)
    else:
        yield from in_processes(function, items, count)


def local_workers(items: int) -> int:
    """Return how many processes this machine can carry for a number of scans."""
    import psutil

    # Inside a container, the cores this process may use are fewer than the machine's.
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    by_memory = int(psutil.virtual_memory().available // _PROCESS_BYTES)
    return max(0, min(cores, by_memory, items))


def _here(
    function: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Outcome[Item, Result]]:
    for item in items:
        try:
            result = function(item)
        except Exception as error:  # noqa: BLE001  # reported with its item by the caller
            yield Outcome(item, None, error)
        else:
            yield Outcome(item, result, None)
