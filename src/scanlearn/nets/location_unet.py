"""A 3D U-Net on the location-conditioned encoder."""

from __future__ import annotations

from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn.nets.location_encoder import LocationEncoder


class LocationUNet(nn.Module):
    """Encoder maps at five resolutions, decoded to one score a class and voxel.

    Each decoder stage is trilinear up-sampling, concatenation with the encoder's map
    and twice 3x3x3 convolution, batch norm, ELU. Below full resolution the stages also
    see the location of every voxel: the left lung looks like the right one, and a tile
    need not show on which side of the body it lies.

    Parameters
    ----------
    encoder
        Its maps are what is decoded.
    classes
        Channels of the result.
    stride
        Voxels between two decoded places: 1, 2, 4 or 8.
    full
        Whether the scores are interpolated to every voxel where the stride is not 1.
    """

    def __init__(
        self,
        encoder: LocationEncoder,
        *,
        classes: int,
        stride: int = 1,
        full: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self._enlarge = stride if full else 1
        *skips, channels = encoder.tap_channels
        self.stages = nn.ModuleList()
        for index, skip in enumerate(reversed(skips[int(log2(stride)) :])):
            coordinates = 3 if index < len(skips) - 1 else 0
            self.stages.append(_Stage(channels + skip + coordinates, skip))
            channels = skip
        self.head = nn.Conv3d(channels, classes, kernel_size=1)

    def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
        """Score tiles.

        Parameters
        ----------
        x
            (B, 1, D, H, W) with sizes divisible by 16, axes (S, P, L).
        boxes
            (B, 2, 3) normalised (x, y, z) coordinates of each tile's first and last
            voxel. The encoder's kernels are those of the middle.

        Returns
        -------
        Tensor
            (B, classes, D, H, W) logits; if not full, every size over the stride.
        """
        # Full-resolution maps of few channels: three times as fast in this layout.
        x = x.contiguous(memory_format=torch.channels_last_3d)
        *skips, x = self.encoder.features(x, boxes.mean(dim=1))
        for stage in self.stages:
            skip = skips.pop()
            x = F.interpolate(x, scale_factor=2, mode="trilinear", align_corners=False)
            parts = [x, skip]
            if skips:
                parts.append(coordinate_maps(boxes, skip.shape[2:]).to(x.dtype))
            x = stage(torch.cat(parts, dim=1))
        logits: Tensor = self.head(x)
        if self._enlarge == 1:
            return logits
        return F.interpolate(
            logits, scale_factor=self._enlarge, mode="trilinear", align_corners=False
        )


def coordinate_maps(boxes: Tensor, shape: torch.Size) -> Tensor:
    """Return the location of every voxel, (B, 2, 3) corners to (B, 3, D, H, W)."""
    first, last = boxes[:, 0], boxes[:, 1]  # (B, 3) each, as (x, y, z)
    maps = []
    for coordinate, axis in ((0, 2), (1, 1), (2, 0)):
        n = shape[axis]
        step = (torch.arange(n, device=boxes.device) + 0.5) / n
        low, high = first[:, coordinate, None], last[:, coordinate, None]
        line = low + (high - low) * step  # (B, n)
        view = [len(boxes), 1, 1, 1]
        view[axis + 1] = n
        maps.append(line.view(view).expand(len(boxes), *shape))
    return torch.stack(maps, dim=1)


class _Stage(nn.Sequential):
    def __init__(self, cin: int, cout: int) -> None:
        layers: list[nn.Module] = []
        for channels in (cin, cout):
            layers += [
                nn.Conv3d(channels, cout, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm3d(cout),
                nn.ELU(inplace=True),
            ]
        super().__init__(*layers)
