"""What ``run.json`` says of the process that trains a run, read with care."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scanlearn.documents import parse_json, read_text
from scanlearn.errors import BadRun

#: What tells one process from all others; other facts are for people.
_STATED: dict[str, type | tuple[type, ...]] = {
    "pid": int,
    "process_started": (int, float),
    "host": str,
}


def read_owner(file: Path) -> dict[str, Any]:
    """Read ``run.json``; empty before a worker starts.

    Raises
    ------
    BadRun
        If it is damaged, or no worker wrote it: nobody knows then whether one is alive.
    """
    try:
        owner = parse_json(read_text(file))
    except FileNotFoundError:
        return {}
    except ValueError:
        owner = None
    if isinstance(owner, dict) and all(
        isinstance(owner.get(name), kind) for name, kind in _STATED.items()
    ):
        return owner
    raise BadRun(
        f"{file} is damaged: it does not say which process trains the run",
        expected="the file as a training writes it",
        next_step="Delete it if nothing trains this run, then resume",
    )
