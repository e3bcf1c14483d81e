"""Batch-norm statistics that describe all the data, not the last batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def recalibrate_batch_norm(
    module: nn.Module,
    batches: Iterable[tuple[Tensor, ...]],
    forward: Callable[..., object] | None = None,
) -> None:
    """Estimate the running statistics anew, as plain averages over batches.

    A training that stays on one landmark for many steps leaves statistics of that
    landmark alone, with which features of all others come out wrong.

    Parameters
    ----------
    module
        Changed in place: only its batch-norm buffers.
    batches
        Arguments of ``forward``.
    forward
        How a batch is sent through; the module itself by default.
    """
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    norms = [m for m in module.modules() if isinstance(m, kinds)]
    before = [norm.momentum for norm in norms]
    was_training = module.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    module.train()
    for batch in batches:
        (forward or module)(*batch)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    module.train(was_training)
