"""What other installed packages bring: the one place that loads their entry points."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar


class Named(Protocol):
    """What is known by a name."""

    @property
    def name(self) -> str:
        """The name."""


class Offered(Protocol):
    """What a door can offer: a method or a task."""

    @property
    def offer(self) -> Named:
        """What doors show of it, and its name."""


Part = TypeVar("Part", bound=Offered)


def brought_named(group: str, kind: type) -> dict[str, Any]:
    """Return an instance of what packages name in an entry-point group, by name.

    One that cannot be loaded, or lacks a part, is told as a warning and left out: the
    others still work.

    Parameters
    ----------
    group
        ``scanlearn.tasks``, ``scanlearn.methods`` or ``scanlearn.docks``.
    kind
        The protocol that says which parts each must have.
    """
    parts = {*getattr(kind, "__annotations__", ()), *kind.__abstractmethods__}  # type: ignore[attr-defined]
    found = {}
    for name, one in load_all(group).items():
        missing = sorted(part for part in parts if not hasattr(one, part))
        if missing:
            _left_out(name, group, f"it has no '{missing[0]}'")
        else:
            found[name] = one
    return found


def with_brought(own: Iterable[Part], group: str, kind: type) -> dict[str, Part]:
    """Return methods or tasks by name: our own, then what packages bring beside them.

    No package takes the name of one that is there already.
    """
    found: dict[str, Part] = {}
    for one in (*own, *brought_named(group, kind).values()):
        found.setdefault(one.offer.name, one)
    return found


@cache
def load_all(group: str) -> Mapping[str, Any]:
    """Load what packages name in an entry-point group, once; return instances by name.

    Loading makes their sections of a configuration known
    (:class:`scanlearn.config.recipe.RecipeConfig`).
    """
    found = {}
    for point in entry_points(group=group):
        try:
            one = point.load()
            found[point.name] = one() if isinstance(one, type) else one
        except Exception as error:  # noqa: BLE001 - nothing of ours, no reason to end
            _left_out(point.value, group, f"{type(error).__name__}: {error}")
    return found


def _left_out(what: str, group: str, why: str) -> None:
    warnings.warn(
        f"{what}, which an installed package brings as {group}, is left out: {why}",
        stacklevel=3,
    )
