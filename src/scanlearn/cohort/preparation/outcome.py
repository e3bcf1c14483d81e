"""What became of one item of many."""

from __future__ import annotations

from typing import Generic, TypeVar

from scanlearn.errors import BadPlace

Item = TypeVar("Item")
Result = TypeVar("Result")


class ProcessKilled(BadPlace):
    """The process that worked on an item was killed from outside, or crashed."""


def killed() -> ProcessKilled:
    """Return the error of an item whose process is gone."""
    return ProcessKilled(
        "its process was killed, most likely for want of memory",
        next_step="Try again with fewer processes, or on a larger machine",
    )


class Outcome(Generic[Item, Result]):
    """A result, or the error that an item raised."""

    def __init__(
        self, item: Item, result: Result | None, error: BaseException | None
    ) -> None:
        self.item = item
        self.result = result
        self.error = error
