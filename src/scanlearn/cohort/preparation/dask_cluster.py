"""Running one function over many items on a Dask cluster that is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from scanlearn.cohort.preparation.outcome import (
    Item,
    Outcome,
    Result,
    killed,
)
from scanlearn.errors import BadConfig

#: How long a scheduler may take to answer.
_PATIENCE_S = 20


def trust_in(scheduler: str) -> str:
    """Return what whoever names a cluster trusts, in a sentence."""
    who = (
        "who holds its certificates"
        if scheduler.startswith(("tls://", "wss://"))
        else "every program and account that can reach this address"
    )
    return (
        f"The cluster at {scheduler} runs code as its owner, and reads the scans and "
        f"the cohort's private folder: so can {who}."
    )


def on_cluster(
    function: Callable[[Item], Result], items: Sequence[Item], scheduler: str
) -> Iterator[Outcome[Item, Result]]:
    """Yield outcomes as they come, in any order, from a cluster's workers.

    Raises
    ------
    BadConfig
        If there is no scheduler at the address.
    """
    with _client(scheduler) as client:
        yield from _on_dask(function, items, client)


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
    if isinstance(error, _distributed().KilledWorker):
        return Outcome(item, None, killed())
    return Outcome(item, None if error is not None else future.result(), error)


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    try:
        client = _distributed().Client(scheduler, timeout=_PATIENCE_S)
    except (OSError, ValueError, TypeError) as problem:
        raise BadConfig(
            f"no Dask scheduler answers at {scheduler} ({problem})",
            expected="an address such as tls://host:8786",
            next_step="Start one with 'dask scheduler', or leave it out.",
        ) from None
    with client:
        yield client


def _distributed() -> Any:
    import distributed  # late, for it takes a second

    return distributed
