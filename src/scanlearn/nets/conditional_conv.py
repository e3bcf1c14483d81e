"""Convolution whose kernel depends on where in the body its input lies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn.nets.fast_conv import (
    TINY,
    columns,
    conv_one_channel,
    conv_one_channel_each,
    is_tiny,
)

#: Up to this many locations are convolved one after another; more go in groups.
_LOOP_AT_MOST = 4

#: Locations in one grouped convolution; larger groups gain nothing on a CPU.
_GROUP = 16

#: With fewer samples a location than this, tiny maps go through all experts at once:
#: mixing large kernels costs more memory traffic than the experts' products.
_MIX_FROM = 4


class ConditionalConv3d(nn.Module):
    """A 3x3x3 convolution that mixes expert kernels by location.

    The kernel at location ``p`` is ``W(p) = sum_e sigmoid(R p + c)_e W_e`` with
    independent gates (DrasCLR's conditional encoder; the routing idea is CondConv's,
    with the location in place of pooled features). The bias is shared by the experts.

    Each kernel is mixed once per location, not once per sample: a batch holds its
    samples location by location.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, experts: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.stride = stride
        shape = (experts, out_channels, in_channels, 3, 3, 3)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.routing = nn.Linear(3, experts)
        # Each expert has the fan-in of an ordinary convolution. (Initialising the stack
        # as one tensor counts the output channels as well and makes it too small.)
        bound = 1 / math.sqrt(in_channels * 27)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def gates(self, locations: Tensor) -> Tensor:
        """Return the weights (G, E) of the experts at locations (G, 3)."""
        return torch.sigmoid(self.routing(locations))

    def kernels(self, locations: Tensor) -> Tensor:
        """Mix the kernels of locations (G, 3) into (G, Cout, Cin, 3, 3, 3)."""
        return self._mixed(locations, self.weight)

    def _mixed(self, locations: Tensor, weight: Tensor) -> Tensor:
        mixed = self.gates(locations) @ weight.flatten(1)
        return mixed.view(-1, *weight.shape[1:])

    @torch.no_grad()
    def adopt(
        self,
        scale: Sequence[float],
        offset: Sequence[float],
        flipped_axes: tuple[int, ...],
    ) -> None:
        """Take locations ``f`` where it took ``scale * f + offset``, in place."""
        routing = self.routing
        routing.bias.add_(routing.weight @ routing.weight.new_tensor(offset))
        routing.weight.mul_(routing.weight.new_tensor(scale))
        self.weight.copy_(self.weight.flip(flipped_axes))

    def forward(
        self, x: Tensor, locations: Tensor, norm: nn.BatchNorm3d | None = None
    ) -> Tensor:
        """Convolve samples with the kernels of their locations.

        Parameters
        ----------
        x
            (G * B, Cin, D, H, W): B samples of the first location, then of the next.
        locations
            (G, 3) normalised coordinates.
        norm
            A batch norm in evaluation mode that follows: it is done with the kernels,
            which saves a pass over the maps.

        Returns
        -------
        Tensor
            (G * B, Cout, D', H', W').
        """
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if norm is not None:
            weight, bias = _with_norm(weight, bias, norm)
        if is_tiny(x):
            return self._tiny(x, locations, weight, bias)
        groups, kernels = len(locations), self._mixed(locations, weight)
        sliced = x.shape[1] == self.stride == 1 and x.device.type == "cpu"
        if groups <= _LOOP_AT_MOST:
            conv = conv_one_channel if sliced else self._conv
            parts = zip(x.chunk(groups), kernels, strict=True)
            return _joined([conv(part, kernel, bias) for part, kernel in parts])
        if sliced:
            return conv_one_channel_each(x, kernels, bias)
        per_chunk = _GROUP * (len(x) // groups)
        chunks = zip(
            torch.split(x, per_chunk), torch.split(kernels, _GROUP), strict=True
        )
        return _joined([self._grouped(part, w, bias) for part, w in chunks])

    def _tiny(
        self, x: Tensor, locations: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        """Convolve maps of up to 2^3 voxels as matrix products."""
        seen = columns(x, self.stride)  # (G * B, D', H', W', Cin * 27)
        groups, experts = len(locations), len(weight)
        rows = seen.view(groups, -1, seen.shape[-1])
        if groups >= experts and len(x) < _MIX_FROM * groups:
            each = rows @ weight.flatten(0, 1).flatten(1).T  # all experts at once
            each = each.unflatten(2, (experts, -1))
            y = torch.einsum("ge,gnec->gnc", self.gates(locations), each)
        else:
            y = rows @ self._mixed(locations, weight).flatten(2).mT
        return (y + bias).view(*seen.shape[:-1], len(bias)).movedim(-1, 1)

    def _grouped(self, x: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        groups, batch = len(kernels), len(x) // len(kernels)
        x = x.view(groups, batch, *x.shape[1:]).transpose(0, 1).flatten(1, 2)
        out = self._conv(x, kernels.flatten(0, 1), bias.repeat(groups), groups)
        out = out.view(batch, groups, -1, *out.shape[2:]).transpose(0, 1)
        return out.flatten(0, 1)

    def _conv(self, x: Tensor, weight: Tensor, bias: Tensor, groups: int = 1) -> Tensor:
        if _is_mixed(x) and min(x.shape[2:]) <= TINY:
            # oneDNN 3.12, as in torch 2.13: bf16 convolutions of maps of 2 voxels have
            # gradients of uninitialised memory (1, 3 and more voxels are right).
            with torch.autocast("cpu", enabled=False):
                x, weight, bias = x.float(), weight.float(), bias.float()
                return F.conv3d(x, weight, bias, self.stride, padding=1, groups=groups)
        return F.conv3d(x, weight, bias, self.stride, padding=1, groups=groups)


def ignore_locations(network: nn.Module) -> None:
    """Fix all gates to what they are at the origin, whatever the location."""
    for name, module in network.named_modules():
        if name.endswith("routing") and isinstance(module, nn.Linear):
            module.weight.requires_grad_(False).zero_()


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _is_mixed(x: Tensor) -> bool:
    return x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def _with_norm(
    weight: Tensor, bias: Tensor, norm: nn.BatchNorm3d
) -> tuple[Tensor, Tensor]:
    """Multiply a batch norm with fixed statistics into the experts and the bias."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    shift = norm.bias - norm.running_mean * scale
    return weight * scale.view(-1, 1, 1, 1, 1), bias * scale + shift
