"""Convolution whose kernel depends on where in the body its input lies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Up to this many locations are convolved one after another; more go in groups.
_LOOP_AT_MOST = 4

#: Locations in one grouped convolution; larger groups gain nothing on a CPU.
_GROUP = 16

#: On a CPU, bf16 convolutions of maps of 2^3 voxels have gradients of uninitialised
#: memory (oneDNN 3.12, as in torch 2.13; maps of 1, 3 and more voxels are right).
_TOO_SMALL_FOR_BF16 = 2


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

    def kernels(self, locations: Tensor) -> Tensor:
        """Mix the kernels of locations (G, 3) into (G, Cout, Cin, 3, 3, 3)."""
        gates = torch.sigmoid(self.routing(locations))  # (G, E)
        mixed = gates @ self.weight.flatten(1)
        return mixed.view(-1, *self.weight.shape[1:])

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

    def forward(self, x: Tensor, locations: Tensor) -> Tensor:
        """Convolve samples with the kernels of their locations.

        Parameters
        ----------
        x
            (G * B, Cin, D, H, W): B samples of the first location, then of the next.
        locations
            (G, 3) normalised coordinates.

        Returns
        -------
        Tensor
            (G * B, Cout, D', H', W').
        """
        kernels = self.kernels(locations)
        groups = len(locations)
        if groups == 1:
            return self._conv(x, kernels[0], self.bias)
        if groups <= _LOOP_AT_MOST:
            parts = zip(x.chunk(groups), kernels, strict=True)
            return torch.cat([self._conv(part, w, self.bias) for part, w in parts])
        per_chunk = _GROUP * (len(x) // groups)
        chunks = zip(
            torch.split(x, per_chunk), torch.split(kernels, _GROUP), strict=True
        )
        return torch.cat([self._grouped(part, w) for part, w in chunks])

    def _grouped(self, x: Tensor, kernels: Tensor) -> Tensor:
        groups, batch = len(kernels), len(x) // len(kernels)
        x = x.view(groups, batch, *x.shape[1:]).transpose(0, 1).flatten(1, 2)
        out = self._conv(x, kernels.flatten(0, 1), self.bias.repeat(groups), groups)
        out = out.view(batch, groups, -1, *out.shape[2:]).transpose(0, 1)
        return out.flatten(0, 1)

    def _conv(self, x: Tensor, weight: Tensor, bias: Tensor, groups: int = 1) -> Tensor:
        if x.device.type == "cpu" and min(x.shape[2:]) <= _TOO_SMALL_FOR_BF16:
            with torch.autocast("cpu", enabled=False):
                x, weight, bias = x.float(), weight.float(), bias.float()
                return F.conv3d(x, weight, bias, self.stride, padding=1, groups=groups)
        return F.conv3d(x, weight, bias, self.stride, padding=1, groups=groups)


def ignore_locations(network: nn.Module) -> None:
    """Fix all gates to what they are at the origin, whatever the location."""
    for name, module in network.named_modules():
        if name.endswith("routing") and isinstance(module, nn.Linear):
            module.weight.requires_grad_(False).zero_()
