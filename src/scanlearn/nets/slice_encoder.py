"""The encoder of the joint method: slices to tokens, tokens to one vector a volume."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn.nets.resnet import ResNet, pooled_stages
from scanlearn.nets.slice_transformer import SliceTransformer, holistic, slice_mask
from scanlearn.nets.tone_curve import ToneCurve


class SliceEncoder(nn.Module):
    """Trunk, token of a slice, transformer along the slices.

    Parameters
    ----------
    trunk
        Sees one slice at a time.
    transformer
        Sees the tokens of a volume.
    dim
        Size of a token.
    knee
        Of the :class:`~scanlearn.nets.tone_curve.ToneCurve` that images pass.
    """

    def __init__(
        self,
        trunk: ResNet,
        transformer: SliceTransformer,
        *,
        dim: int,
        knee: float | None = None,
    ) -> None:
        super().__init__()
        self.tone = ToneCurve(knee)
        # Convolutions of a CPU are twice as fast with the channels last.
        self.trunk = trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.transformer = transformer
        self.features = sum(trunk.dims)
        # Features after ReLU all point one way: only what is left without their mean
        # tells slices apart. Statistics alone, so that nothing here is trained.
        self.centre = nn.BatchNorm1d(self.features, affine=False)
        self.project = nn.Linear(self.features, dim)

    def images(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (n, 1, H, W) to the joined stages (n, F) and the last one's mean.

        The first becomes a token; the second, (n, C), is what a projection head takes.
        """
        x = self.tone(x)
        maps = self.trunk(x.contiguous(memory_format=torch.channels_last))
        joined = pooled_stages(maps)
        if self.training:
            self.centre(joined.detach())  # its statistics follow the trunk
        return joined, maps[-1].float().mean(dim=(2, 3))

    def describe(self, x: Tensor) -> Tensor:
        """Map images (n, 1, H, W) to (n, 2 F) for whatever reads frozen features.

        Of each channel of the four stages the mean, then the standard deviation: what
        is where, and how evenly.
        """
        maps = self.trunk(self.tone(x).contiguous(memory_format=torch.channels_last))
        parts = [torch.std_mean(y.float(), dim=(2, 3), correction=0) for y in maps]
        means, deviations = [m for _, m in parts], [s for s, _ in parts]
        return torch.cat([*means, *deviations], dim=1)

    def tokens(self, stacks: Tensor, lengths: Tensor) -> Tensor:
        """Map stacks (B, N, H, W) of (B,) slices to unit tokens (B, N, dim).

        Beyond a volume's slices they are zero.
        """
        there = slice_mask(lengths, stacks.shape[1])
        joined, _ = self.images(stacks[there][:, None])
        found = F.normalize(self.project(self.centre(joined)).float(), dim=1)
        tokens = found.new_zeros(*there.shape, found.shape[1])
        tokens[there] = found
        return tokens

    def volumes(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Map tokens (B, N, dim) to the holistic feature (B, dim), of length 1."""
        return holistic(self.transformer(tokens, lengths), lengths)


class ImageHead(nn.Module):
    """Linear, batch norm, ReLU, linear: the head of SwAV's own code."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, dim),
            nn.BatchNorm1d(dim),
            nn.ReLU(inplace=True),
            nn.Linear(dim, out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, dim) to unit vectors (n, out)."""
        return F.normalize(self.layers(x).float(), dim=1)
