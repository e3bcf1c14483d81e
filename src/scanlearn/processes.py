"""What the processes of one training do together: sums, means, shares of a batch.

Sample ``i`` of a batch belongs to process ``i % count()``. Everything random is drawn
for the whole batch, and each process takes its share: however many there are, they
learn what one would. Outside :func:`together` a process is alone, so that what one does
for all (a validation, an export) waits for nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch import distributed as dist

_T = TypeVar("_T")

_is_together = False


@contextmanager
def together() -> Iterator[None]:
    """Let the processes of a training act as one; all of them have to enter it."""
    global _is_together
    before, _is_together = _is_together, dist.is_available() and dist.is_initialized()
    try:
        yield
    finally:
        _is_together = before


def count() -> int:
    """Return how many processes act as one here."""
    return dist.get_world_size() if _is_together else 1


def rank() -> int:
    """Return the number of this process among them."""
    return dist.get_rank() if _is_together else 0


def share(whole: _T) -> _T:
    """Return this process's part of tensors or sequences, or of what was drawn.

    Of a dataclass each field is shared; plain numbers stay as they are.
    """
    if count() == 1:
        return whole
    given: Any = whole
    if isinstance(whole, Tensor | list | tuple):
        return cast("_T", given[rank() :: count()])
    if is_dataclass(whole) and not isinstance(whole, type):
        parts = {part.name: share(getattr(whole, part.name)) for part in fields(whole)}
        return cast("_T", replace(given, **parts))
    return whole


def places(numbers: Tensor) -> Tensor:
    """Return the places in this process's share of those numbers (n,) that it has."""
    return numbers[numbers % count() == rank()] // count()


def whole(size: int) -> int:
    """Return the size of a batch of which each process has ``size`` samples."""
    return size * count()


def spread(mine: Tensor) -> Tensor:
    """Return a tensor of the whole batch's length whose :func:`share` is ``mine``."""
    return mine.repeat_interleave(count(), dim=0)


@torch.no_grad()
def gathered(mine: Tensor, dim: int = 0) -> Tensor:
    """Return the whole batch along ``dim``, in its order; no gradient passes."""
    if count() == 1:
        return mine
    mine = mine.contiguous()
    parts = [torch.empty_like(mine) for _ in range(count())]
    dist.all_gather(parts, mine)
    return torch.stack(parts, dim=dim + 1).flatten(dim, dim + 1)


def summed(mine: Tensor) -> Tensor:
    """Return the sum over all processes; gradients pass.

    A loss made of such sums is that of the whole batch in each process, and the mean of
    their gradients, which is what is learned from, is its gradient.
    """
    if count() == 1:
        return mine
    total: Tensor = _Summed.apply(mine)  # type: ignore[no-untyped-call]
    return total


@torch.no_grad()
def mean(mine: Tensor) -> Tensor:
    """Return the mean over all processes; no gradient passes."""
    return summed(mine) / count()


@torch.no_grad()
def from_first(mine: Tensor) -> Tensor:
    """Return what the first process has, wherever there are several."""
    if dist.is_available() and dist.is_initialized():
        mine = mine.contiguous()
        dist.broadcast(mine, src=0)
    return mine


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, mine: Tensor) -> Tensor:
        total = mine.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        # Each process's loss depends on this sum.
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total
