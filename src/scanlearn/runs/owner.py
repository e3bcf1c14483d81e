"""What ``run.json`` says of the process that trains a run, read with care."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scanlearn.documents import parse_json, read_text
from scanlearn.errors import BadRun

#: What every worker writes, and when it began: as a mark, in older files as a time.
_STATED: dict[str, type] = {"pid": int, "host": str}
_BEGAN: dict[str, type | tuple[type, ...]] = {
    "process_mark": str,
    "process_started": (int, float),
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
    if isinstance(owner, dict):
        stated = all(isinstance(owner.get(n), kind) for n, kind in _STATED.items())
        if stated and any(isinstance(owner.get(n), k) for n, k in _BEGAN.items()):
            return owner
    raise BadRun(
        f"{file} is damaged: it does not say which process trains the run",
        expected="the file as a training writes it",
        next_step="Delete it if nothing trains this run, then resume",
    )
