"""Running one function over many items: here, in local processes, or on a cluster.

Dask carries it. Only a few items are in flight at a time, so that memory does not grow
with their number, and one that fails or kills its process does not stop the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from scanlearn.errors import BadConfig

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Reading, resampling and masking a large CT takes about this much at its peak.
_PROCESS_BYTES = 3 * 2**30

#: Starting processes takes longer than this many scans do here.
_WORTH_PROCESSES = 3

#: How long a scheduler may take to answer.
_PATIENCE_S = 20

_SETTINGS = {
    # A scan that kills its process is tried once more, not three times.
    "distributed.scheduler.allowed-failures": 1,
    # Dask's own diaries would grow for an hour, in every process.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.log-length": 100,
}


class Outcome(Generic[Item, Result]):
    """What became of one item: a result, or the error that it raised."""

    def __init__(
        self, item: Item, result: Result | None, error: BaseException | None
    ) -> None:
        self.item = item
        self.result = result
        self.error = error


def run_all(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Generator[Outcome[Item, Result]]:
    """Apply a function to every item and yield outcomes as they come, in any order.

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
    if scheduler is None and (count == 0 or few):
        yield from _here(function, items)
        return
    with _client(count, scheduler) as client:
        yield from _on_dask(function, items, client)


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


def _on_dask(
    function: Callable[[Item], Result], items: Sequence[Item], client: Any
) -> Iterator[Outcome[Item, Result]]:
    waiting = iter(items)
    running: dict[Any, Item] = {}
    done = _distributed().as_completed()

    def submit() -> None:
        for item in waiting:
            future = client.submit(function, item, pure=False)
            running[future] = item
            done.add(future)
            return

    # Two for each thread keep every one busy; more would only hold memory.
    for _ in range(2 * max(1, sum(client.nthreads().values()))):
        submit()
    suspects: list[Item] = []
    for future in done:
        item = running.pop(future)
        if isinstance(future.exception(), _distributed().KilledWorker):
            # Whatever waited in the dead process is blamed too: try these alone.
            suspects.append(item)
        else:
            yield _outcome(item, future)
        future.release()
        submit()
    for item in suspects:
        yield _outcome(item, client.submit(function, item, pure=False))


def _outcome(item: Item, future: Any) -> Outcome[Item, Any]:
    error = future.exception()
    return Outcome(item, None if error is not None else future.result(), error)


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    import dask

    distributed = _distributed()
    with dask.config.set(_SETTINGS):
        if scheduler is not None:
            try:
                client = distributed.Client(scheduler, timeout=_PATIENCE_S)
            except (OSError, ValueError) as problem:
                raise BadConfig(
                    f"no Dask scheduler answers at {scheduler} ({problem})",
                    expected="an address such as tcp://host:8786",
                    next_step="Start one with 'dask scheduler', or leave it out.",
                ) from None
            with client:
                yield client
            return
        with (
            distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                # Nothing listens beyond this machine; the usual port may be taken.
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=50,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


def _distributed() -> Any:
    import distributed  # late, for it takes a second

    return distributed
