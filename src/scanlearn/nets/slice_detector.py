"""A centre map on the trunk of an encoder of slices: boxes on radiographs."""

from __future__ import annotations

from torch import Tensor, nn

from scanlearn.nets.centre_head import centre_head
from scanlearn.nets.centre_map import Cells
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.nets.slice_unet import SliceUNet

#: Channels between the decoder and the map.
_HIDDEN = 32


class SliceDetector(nn.Module):
    """The slices' U-Net down to a stride, then a head of two convolutions.

    Parameters
    ----------
    encoder
        Its trunk's maps are what is decoded.
    stride
        Pixels of a cell: 2 or 4.
    """

    def __init__(self, encoder: SliceEncoder, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.unet = SliceUNet(encoder, classes=_HIDDEN, context=False, stride=stride)
        self.head = centre_head(_HIDDEN, axes=2, sizes=2)

    @property
    def encoder(self) -> SliceEncoder:
        """The encoder."""
        return self.unet.encoder

    @property
    def cells(self) -> Cells:
        """How cells lie on pixels; sizes are in pixels."""
        return Cells(self.stride, (float(self.stride),) * 2)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 1, H, W) to (B, 5, *cells).

        Channels as :mod:`scanlearn.nets.centre_map` has them: heat, two offsets (down,
        right), height and width.
        """
        maps: Tensor = self.head(self.unet(images)[:, :, 0])
        return maps
