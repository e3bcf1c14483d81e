"""A batch in parts, one after another, where memory is too small for it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from scanlearn.engine.recipe import Batch, StepResult
from scanlearn.errors import BadConfig
from scanlearn.runs.events import Message


def parts_of(batch: Batch, count: int) -> Iterator[tuple[Batch, float]]:
    """Yield a batch in so many parts, as even as they can be, each with its weight.

    The mean of the weights is 1: where parts differ in size, so do they.
    """
    if count == 1:
        yield batch, 1.0
        return
    chunks = {name: x.tensor_split(count) for name, x in batch.items()}
    size = size_of(batch)
    for number in range(count):
        part = {name: parts[number] for name, parts in chunks.items()}
        yield part, size_of(part) * count / size


def size_of(batch: Batch) -> int:
    """Return how many samples a batch has."""
    return len(next(iter(batch.values())))


def on_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch."""
    return {name: x.to(device, non_blocking=True) for name, x in batch.items()}


def joined(results: Sequence[StepResult]) -> StepResult:
    """Return what a step gives from what its parts gave: the means."""
    if len(results) == 1:
        return results[0]
    values = {
        name: torch.stack([result.values[name] for result in results]).mean()
        for name in results[0].values
    }
    losses = torch.stack([result.loss.detach() for result in results])
    return StepResult(losses.mean(), values=values)


def halved(parts: int, batch: Batch, *, divisible: bool) -> int:
    """Return how many parts to try next, after memory was too small for so many.

    Raises
    ------
    BadConfig
        If the batch cannot be divided any further.
    """
    if divisible and 2 * parts <= size_of(batch):
        return 2 * parts
    at_once = -(-size_of(batch) // parts)
    raise BadConfig(
        f"The memory is too small for {at_once} samples at once",
        expected="a smaller batch, smaller tiles or crops, or more memory"
        if divisible
        else "a smaller batch: its samples are compared, so it is not divided",
        next_step="End other programs on the card, or start anew with a smaller "
        "'batch'",
    )


def said(parts: int, batch: Batch, *, step: int) -> Message:
    """Say what was done."""
    size = size_of(batch)
    return Message(
        severity="warning",
        text=f"The memory is too small for {size} samples at once: from step {step} "
        f"on each batch is learned from in {parts} parts. Their gradients are added "
        "up, batch norms see a part each; it takes longer.",
    )
