"""Which process is which, and whether it still lives: told by no clock.

Numbers of processes are used again, and wall clocks are set: by a time server, by hand,
when a laptop wakes up. So a process is known by its number and by what the system noted
when it started and never changes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil


def birth_mark(pid: int) -> str:
    """Return a text that no other process of this number has on this machine, ever.

    Raises
    ------
    psutil.NoSuchProcess
        If there is no such process.
    """
    if sys.platform == "linux":
        return f"{_boot()} {_ticks(pid)}"
    elif sys.platform == "darwin":
        return _noted_start(pid)
    else:
        # Windows keeps the time with the process; setting the clock leaves it.
        return repr(psutil.Process(pid).create_time())


def is_alive(pid: int, mark: str) -> bool:
    """Whether the process of this number and birth mark is at work on this machine."""
    try:
        same = birth_mark(pid) == mark
        return same and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _boot() -> str:
    """Return the number that Linux draws at each start."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:  # some containers hide it
        return "-"


def _ticks(pid: int) -> int:
    """Return the clock ticks from the system's start to that of a process."""
    try:
        facts = Path(f"{psutil.PROCFS_PATH}/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        raise psutil.NoSuchProcess(pid) from None
    # Its name, in brackets, may hold brackets and blanks; the start is the 22nd entry.
    return int(facts.rpartition(")")[2].split()[19])


def _noted_start(pid: int) -> str:
    """Return when macOS says that a process started, as noted then."""
    # psutil moves its time when the clock is set, by what it saw when it was imported.
    said = subprocess.run(
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)],
        env=os.environ | {"LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    if not said:
        raise psutil.NoSuchProcess(pid)
    return said
