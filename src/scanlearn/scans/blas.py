"""Many small matrix products at full speed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

_lock = threading.Lock()
_users = 0
_restore: list[Any] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread, for products too small to be shared between cores.

    Its threads wait for each other by spinning: on a busy machine that made thousands
    of small products thirty times as slow. The setting belongs to the whole process, so
    the first user makes it and the last one restores it.
    """
    global _users
    with _lock:
        if _users == 0:
            _restore.append(ThreadpoolController().limit(limits=1, user_api="blas"))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _restore.pop().restore_original_limits()
