"""Batch norms with the statistics of all processes, on any device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from scanlearn import processes


class SharedBatchNorm(TorchFunctionMode):
    """While it is entered, batch norms in training mode see the whole batch.

    Torch's own ``SyncBatchNorm`` needs a GPU and other modules. Here modules stay as
    they are; a process may have no sample at all, as of a shuffled half of a batch.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Take the place of ``batch_norm`` alone."""
        kwargs = kwargs or {}
        if func is F.batch_norm and kwargs.get("training") and processes.count() > 1:
            return batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise as torch's does, by the mean and variance over all processes."""
    assert training
    mean, variance, count = moments(x)
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(variance * count / (count - 1).clamp_min(1), momentum)
    inverse = (variance + eps).rsqrt()
    if weight is None or bias is None:
        weight, bias = torch.ones_like(mean), torch.zeros_like(mean)
    found: Tensor = _Normalised.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, mean, inverse, count
    )
    return found


@torch.no_grad()
def moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance (C,) of (n, C, ...) of all processes, and the count."""
    flat = x.float().transpose(0, 1).flatten(1)
    channels, count = flat.shape
    mean = flat.mean(dim=1) if count else flat.new_zeros(channels)
    deviation = (flat - mean[:, None]).square().sum(dim=1)
    mine = torch.stack([mean.new_full((channels,), float(count)), mean, deviation])
    counts, means, deviations = processes.gathered(mine[None]).unbind(1)
    total = counts.sum(dim=0)
    whole = (counts * means).sum(dim=0) / total
    # Chan, Golub and LeVeque, 1979: no difference of large squares.
    spread = deviations + counts * (means - whole).square()
    return whole, spread.sum(dim=0) / total, total


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        inverse: Tensor,
        count: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, inverse, count)
        scale = weight.float() * inverse
        shift = bias.float() - mean * scale
        return torch.addcmul(_column(shift, x), x.float(), _column(scale, x)).to(
            x.dtype
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse, count = ctx.saved_tensors
        gradient = gradients[0].float()
        normal = (x.float() - _column(mean, x)) * _column(inverse, x)
        others = [0, *range(2, x.dim())]
        sums = torch.stack([gradient.sum(others), (gradient * normal).sum(others)])
        of_bias, of_weight = sums.clone()
        dist.all_reduce(sums)
        along = sums / count
        of_x = gradient - _column(along[0], x) - normal * _column(along[1], x)
        of_x = of_x * _column(weight.float() * inverse, x)
        return of_x.to(x.dtype), of_weight, of_bias, None, None, None


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(1, -1, *[1] * (like.dim() - 2))
