"""A centre map on the location-conditioned encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scanlearn.nets.centre_head import centre_head
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.location_unet import LocationUNet

#: Channels between the decoder and the map.
_HIDDEN = 32


class LocationDetector(nn.Module):
    """The U-Net's decoder down to a stride, then a head of two convolutions.

    Parameters
    ----------
    encoder
        Its maps are what is decoded.
    stride
        Voxels of a cell: 2 or 4.
    """

    def __init__(self, encoder: LocationEncoder, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.unet = LocationUNet(encoder, classes=_HIDDEN, stride=stride)
        self.head = centre_head(_HIDDEN, axes=3, sizes=1)

    @property
    def encoder(self) -> LocationEncoder:
        """The encoder."""
        return self.unet.encoder

    def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
        """Map tiles (B, 1, D, H, W) at boxes (B, 2, 3) to (B, 5, *cells).

        Channels as :mod:`scanlearn.nets.centre_map` has them: heat, three offsets, the
        diameter.
        """
        maps: Tensor = self.head(self.unet(x, boxes))
        return maps


def blendable(maps: Tensor) -> Tensor:
    """Return maps (B, 5, ...) whose heat is a probability, as windows are averaged."""
    return torch.cat([maps[:, :1].sigmoid(), maps[:, 1:]], dim=1)
