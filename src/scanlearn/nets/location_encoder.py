"""DrasCLR's encoder: a plain 3D CNN whose kernels depend on the anatomical location."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scanlearn.nets.conditional_conv import ConditionalConv3d
from scanlearn.nets.tone_curve import ToneCurve


class LocationEncoder(nn.Module):
    """Thirteen conditional convolutions, each with batch norm and ELU.

    The defaults are the layer table of the released code: 32^3 voxels in, 128 numbers
    out, five strides of 2, no residual connections. Other even widths and inputs of
    16^3 keep the same layers.

    Parameters
    ----------
    width
        Channels of the first layer; the others are its multiples.
    dim
        Size of the representation.
    experts
        Kernels mixed in every layer.
    knee
        Of the :class:`~scanlearn.nets.tone_curve.ToneCurve` that the input passes.
    """

    #: Layers whose output is not yet strided: what a U-Net concatenates.
    taps = (0, 3, 6, 9, 11)

    #: Of the layers.
    strides = (1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 2)

    def __init__(
        self,
        *,
        width: int = 8,
        dim: int = 128,
        experts: int = 8,
        knee: float | None = None,
    ) -> None:
        super().__init__()
        w = width
        table = [
            (1, w),
            (w, w),
            (w, 2 * w),
            (2 * w, 2 * w),
            (2 * w, 2 * w),
            (2 * w, 4 * w),
            (4 * w, 4 * w),
            (4 * w, 4 * w),
            (4 * w, 8 * w),
            (8 * w, 8 * w),
            (8 * w, 8 * w),
            (8 * w, 16 * w),
            (16 * w, dim),
        ]
        self.dim, self.experts = dim, experts
        self.tone = ToneCurve(knee)
        self.layers = nn.ModuleList(
            _Layer(cin, cout, experts=experts, stride=stride)
            for (cin, cout), stride in zip(table, self.strides, strict=True)
        )
        self.tap_channels = tuple(table[index][1] for index in self.taps)

    def forward(self, x: Tensor, locations: Tensor) -> Tensor:
        """Encode patches (G * B, 1, S, S, S) at locations (G, 3) into (G * B, dim)."""
        x = self.tone(x)
        for layer in self.layers:
            x = layer(x, locations)
        # One voxel is left of a patch; a larger input is averaged over its place.
        return x.flatten(2).mean(dim=2)

    def adopt(
        self,
        scale: Sequence[float],
        offset: Sequence[float],
        flipped_axes: tuple[int, ...] = (),
    ) -> None:
        """Take locations ``f`` where it took ``scale * f + offset``, in place.

        Parameters
        ----------
        scale, offset
            Along x, y, z.
        flipped_axes
            Of the patches, whose kernels turn around.
        """
        for module in self.modules():
            if isinstance(module, ConditionalConv3d):
                module.adopt(scale, offset, flipped_axes)

    @classmethod
    def layers_reached(cls, side: int) -> int:
        """Return how many layers patches of a side train whole, from the first on.

        Deep maps of small patches have one or two voxels: of a kernel's 27 taps the
        outer ones see nothing but padding there, and stay as they were drawn.
        """
        for number, stride in enumerate(cls.strides):
            if side < 3 - (stride == 1):
                return number
            side = -(-side // stride)
        return len(cls.strides)

    def features(self, x: Tensor, locations: Tensor) -> list[Tensor]:
        """Return the maps at full, 1/2, 1/4, 1/8 and 1/16 resolution."""
        maps, x = [], self.tone(x)
        for index, layer in enumerate(self.layers[: self.taps[-1] + 1]):
            x = layer(x, locations)
            if index in self.taps:
                maps.append(x)
        return maps


class ProjectionHead(nn.Sequential):
    """Linear, ReLU, Linear: between the representation and the contrastive loss."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__(
            nn.Linear(dim, dim), nn.ReLU(inplace=True), nn.Linear(dim, out)
        )


class _Layer(nn.Module):
    def __init__(self, cin: int, cout: int, *, experts: int, stride: int) -> None:
        super().__init__()
        self.conv = ConditionalConv3d(cin, cout, experts=experts, stride=stride)
        self.norm = nn.BatchNorm3d(cout)

    def forward(self, x: Tensor, locations: Tensor) -> Tensor:
        if self.training or torch.is_grad_enabled():
            y = self.norm(self.conv(x, locations))
        else:
            y = self.conv(x, locations, self.norm)
        return nn.functional.elu(y, inplace=True)
