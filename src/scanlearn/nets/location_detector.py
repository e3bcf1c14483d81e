"""A centre map on the location-conditioned encoder."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn

from scanlearn.nets.centre_map import PRIOR
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
        self.head = nn.Sequential(
            nn.BatchNorm3d(_HIDDEN),
            nn.ELU(inplace=True),
            nn.Conv3d(_HIDDEN, _HIDDEN, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm3d(_HIDDEN),
            nn.ELU(inplace=True),
            nn.Conv3d(_HIDDEN, 5, kernel_size=1),
        )
        last = self.head[-1]
        assert isinstance(last, nn.Conv3d)
        assert last.bias is not None
        # Without this the first steps only teach that nearly all is background
        # (Lin et al., Focal loss, ICCV 2017, section 3.3).
        nn.init.zeros_(last.bias)
        nn.init.constant_(last.bias[:1], log(PRIOR / (1 - PRIOR)))

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
