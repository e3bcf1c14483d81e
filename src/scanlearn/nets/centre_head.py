"""The last layers of a detector: from a decoder's maps to a centre map."""

from __future__ import annotations

from math import log

from torch import nn

from scanlearn.nets.centre_map import PRIOR


def centre_head(channels: int, *, axes: int, sizes: int) -> nn.Sequential:
    """Return two convolutions to the channels of :mod:`scanlearn.nets.centre_map`.

    Parameters
    ----------
    channels
        Of the decoder's maps.
    axes
        2 for images, 3 for volumes.
    sizes
        Numbers that tell how large an object is: 1 or ``axes``.
    """
    conv = nn.Conv3d if axes == 3 else nn.Conv2d
    norm = nn.BatchNorm3d if axes == 3 else nn.BatchNorm2d
    hidden = conv(channels, channels, kernel_size=3, padding=1, bias=False)
    last = conv(channels, 1 + axes + sizes, kernel_size=1)
    assert last.bias is not None
    # Without this the first steps only teach that nearly all is background
    # (Lin et al., Focal loss, ICCV 2017, section 3.3).
    nn.init.zeros_(last.bias)
    nn.init.constant_(last.bias[:1], log(PRIOR / (1 - PRIOR)))
    return nn.Sequential(
        norm(channels),
        nn.ELU(inplace=True),
        hidden,
        norm(channels),
        nn.ELU(inplace=True),
        last,
    )
