"""Which runs a table shows, and in which order; no Qt in here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from scanlearn.gui.shared.run_list import RunRow

#: Running first, then what asks for something, then what is done.
_STATES = (
    "running",
    "crashed",
    "lost",
    "unreadable",
    "newer",
    "new",
    "stopped",
    "finished",
)

#: How runs may be sorted; *newest first* is the order in which they come.
ORDERS: dict[str, Callable[[RunRow], Any] | None] = {
    "newest first": None,
    "name": lambda run: run.title.lower(),
    "method": lambda run: run.method,
    "state": lambda run: _STATES.index(run.state) if run.state in _STATES else 0,
    "best score": lambda run: -_number(run.best),
    "longest": lambda run: -run.seconds,
    "largest": lambda run: -run.disk_bytes,
}


def sorted_runs(rows: Sequence[RunRow], order: str) -> list[RunRow]:
    """Sort runs; equals stay newest first."""
    key = ORDERS[order]
    return list(rows) if key is None else sorted(rows, key=key)


def found_runs(rows: Sequence[RunRow], words: str) -> list[RunRow]:
    """Return the runs in which every word is found, in whatever is said of them."""
    wanted = words.lower().split()
    return [run for run in rows if all(word in _said(run) for word in wanted)]


def _said(run: RunRow) -> str:
    parts = (run.name, run.title, run.method, run.kind, run.state, run.about.note)
    return "\n".join((*parts, *run.about.tags)).lower()


def _number(best: str) -> float:
    """Return the number in ``"dice 0.91"`` or ``"9.1× chance"``; none comes last."""
    found = re.search(r"-?\d+\.\d+(?=×|$)", best)
    return float(found.group()) if found else float("-inf")
