"""What other installed packages bring: the one place that loads their entry points."""

from __future__ import annotations

import warnings
from importlib.metadata import entry_points
from typing import Any


def brought_named(group: str) -> dict[str, Any]:
    """Return an instance of what packages name in an entry-point group, by name.

    One that cannot be loaded is told as a warning and left out: the others still work.

    Parameters
    ----------
    group
        ``scanlearn.tasks``, ``scanlearn.methods`` or ``scanlearn.docks``.
    """
    found = {}
    for point in entry_points(group=group):
        try:
            one = point.load()
            found[point.name] = one() if isinstance(one, type) else one
        except Exception as error:  # noqa: BLE001 - nothing of ours, no reason to end
            warnings.warn(
                f"{point.value}, which an installed package brings as {group}, cannot "
                f"be loaded: {type(error).__name__}: {error}",
                stacklevel=2,
            )
    return found
