"""Running one function over many items in processes of this machine.

They are the standard library's, spawned, and talk through pipes that parent and child
alone hold. Nothing listens: no other program or account can hand them work, and a
machine without any network has them, too.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from multiprocessing.connection import Connection

from scanlearn.cohort.preparation.outcome import (
    Item,
    Outcome,
    ProcessKilled,
    Result,
    killed,
)

#: There are as many processes as cores: more threads would wait for each other. Memory
#: that is freed goes back to the system, or it would grow from scan to scan.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], count: int
) -> Iterator[Outcome[Item, Result]]:
    """Yield outcomes as they come, in any order, from a number of processes."""
    suspects: list[Item] = []
    with closing(_tried(function, items, count)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome.error, ProcessKilled):
                suspects.append(outcome.item)
            else:
                yield outcome
    # What was killed when memory was short may live alone.
    yield from _tried(function, suspects, 1)


def _tried(
    function: Callable[[Item], Result], items: Sequence[Item], count: int
) -> Generator[Outcome[Item, Result]]:
    waiting = iter(items)
    at_work: dict[Future[Result], tuple[Item, ProcessPoolExecutor]] = {}
    with _executors() as executor:
        # Each has one process, so that it is known what a killed one was at.
        idle = [executor() for _ in range(min(count, len(items)))]

        def hand_out() -> None:
            for item in islice(waiting, len(idle)):
                one = idle.pop()
                at_work[one.submit(function, item)] = item, one

        hand_out()
        while at_work:
            done, _ = wait(at_work, return_when=FIRST_COMPLETED)
            outcomes = []
            for future in done:
                item, one = at_work.pop(future)
                outcome = _outcome(item, future)
                outcomes.append(outcome)
                killed = isinstance(outcome.error, ProcessKilled)
                idle.append(executor() if killed else one)
            hand_out()
            yield from outcomes


def _outcome(item: Item, future: Future[Result]) -> Outcome[Item, Result]:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return Outcome(item, None, killed())
    return Outcome(item, None if error else future.result(), error)


@contextmanager
def _executors() -> Iterator[Callable[[], ProcessPoolExecutor]]:
    """Give a maker of executors whose processes end with the block, and with us."""
    spawn = multiprocessing.get_context("spawn")
    theirs, ours = spawn.Pipe(duplex=False)

    def executor() -> ProcessPoolExecutor:
        made = ProcessPoolExecutor(
            1, mp_context=spawn, initializer=_hold_on_to, initargs=(theirs,)
        )
        return all_made.enter_context(made)

    with theirs, ours, _environment(), ExitStack() as all_made:
        try:
            yield executor
        except BaseException:
            ours.close()  # whoever is still at work ends at once
            raise


def _hold_on_to(lifeline: Connection) -> None:
    """End this process as soon as nobody holds the other end: killed ones hold none."""

    def wait_for_the_end() -> None:
        with suppress(EOFError, OSError):
            lifeline.recv_bytes()
        os._exit(1)

    # Ctrl-C in a terminal goes to all; the parent says what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=wait_for_the_end, daemon=True).start()


@contextmanager
def _environment() -> Iterator[None]:
    """Set what new processes are to find, where the user has not."""
    added = {name: _ENVIRONMENT[name] for name in _ENVIRONMENT.keys() - os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
