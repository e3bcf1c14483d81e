"""A U-Net on an encoder of slices: slice by slice, or with the slices around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn.nets.resnet import pooled_stages
from scanlearn.nets.slice_encoder import SliceEncoder


class SliceUNet(nn.Module):
    """The trunk's maps, decoded to one score a class and pixel.

    As the joint method's release uses its trunk for segmentation: up-sampling,
    concatenation with the map of that resolution, twice 3x3 convolution, batch norm,
    ReLU, with 4, 2, 1, 1/2 and 1/4 times the trunk's width.

    Parameters
    ----------
    encoder
        Its trunk is the U-Net's; with ``context`` its transformer is used too.
    classes
        With the background.
    context
        Whether the coarsest map of a slice is told what the transformer makes of it
        among its neighbours.
    stride
        Pixels between the places that are scored: decoding ends there.
    full
        Whether the scores are interpolated to every pixel where the stride is not 1.
    """

    def __init__(
        self,
        encoder: SliceEncoder,
        *,
        classes: int,
        context: bool,
        stride: int = 1,
        full: bool = False,
    ) -> None:
        super().__init__()
        self._full = full and stride > 1
        self.encoder, self.has_context = encoder, context
        width = encoder.trunk.conv1.out_channels
        skips, channels = (width, *encoder.trunk.dims[:-1]), encoder.trunk.dims[-1]
        self.context = nn.Linear(encoder.project.out_features, channels)
        self.stages = nn.ModuleList()
        outs = [4 * width, 2 * width, width, max(8, width // 2), max(8, width // 4)]
        at = [*reversed(encoder.trunk.strides[:-1]), 1]
        for skip, out, step in zip([*reversed(skips), 0], outs, at, strict=True):
            if step >= stride:
                self.stages.append(_Stage(channels + skip, out))
                channels = out
        self.head = nn.Conv2d(channels, classes, 3, padding=1)

    def forward(self, stacks: Tensor) -> Tensor:
        """Score stacks (B, L, H, W) of neighbouring slices: (B, classes, L, *cells)."""
        batch, length = stacks.shape[:2]
        x = self.encoder.tone(stacks.flatten(0, 1)[:, None])
        maps = self.encoder.trunk.features(
            x.contiguous(memory_format=torch.channels_last)
        )
        *skips, y = maps
        if self.has_context:
            y = y + self._context(maps[1:], batch, length)[:, :, None, None].to(y.dtype)
        sizes = [skip.shape[2:] for skip in reversed(skips)] + [stacks.shape[2:]]
        steps = zip(self.stages, sizes, [*reversed(skips), None], strict=False)
        for stage, size, skip in steps:
            y = F.interpolate(y, size=size, mode="nearest")
            y = stage(y if skip is None else torch.cat([y, skip], dim=1))
        scores: Tensor = self.head(y)
        if self._full:
            size = stacks.shape[2:]
            scores = F.interpolate(scores, size, mode="bilinear", align_corners=False)
        by_stack: Tensor = scores.unflatten(0, (batch, length))
        return by_stack.transpose(1, 2)

    def _context(self, maps: list[Tensor], batch: int, length: int) -> Tensor:
        """Return what is added to the coarsest map of each slice, (B L, C)."""
        encoder = self.encoder
        joined = encoder.centre(pooled_stages(maps))
        tokens = F.normalize(encoder.project(joined).float(), dim=1)
        lengths = torch.full((batch,), length, device=tokens.device)
        told = encoder.transformer(tokens.unflatten(0, (batch, length)), lengths)
        found: Tensor = self.context(told.flatten(0, 1))
        return found


class _Stage(nn.Sequential):
    def __init__(self, cin: int, cout: int) -> None:
        layers: list[nn.Module] = []
        for channels in (cin, cout):
            layers += [
                nn.Conv2d(channels, cout, 3, padding=1, bias=False),
                nn.BatchNorm2d(cout),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)
