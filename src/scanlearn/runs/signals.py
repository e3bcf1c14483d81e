"""Signals that ask a worker to save and go."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: From a cluster before it takes the machine, a terminal that closes, and Ctrl-C; the
#: last is Ctrl-Break of Windows, which has no SIGHUP.
_NAMES = ("SIGTERM", "SIGHUP", "SIGINT", "SIGBREAK")

_Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def signals_noted() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether a signal has asked to stop.

    The same signal again does what it always does, for whoever cannot wait. Signals
    that are ignored, as ``nohup`` has it, stay so.
    """
    before: dict[int, _Handler] = {}
    noted = threading.Event()

    def note(number: int, _: FrameType | None) -> None:
        noted.set()
        signal.signal(number, before[number])

    for number in _numbers():
        handler = signal.getsignal(number)
        if handler is not signal.SIG_IGN:
            before[number] = handler
            signal.signal(number, note)
    try:
        yield noted.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _numbers() -> list[int]:
    if threading.current_thread() is not threading.main_thread():
        return []  # Python tells the main thread alone
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
