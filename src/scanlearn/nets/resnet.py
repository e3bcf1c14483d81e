"""Residual networks with the parameter names and numbers of torchvision's.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the stride of
a bottleneck on its 3x3 convolution. Weights of torchvision's ResNet-18 and -50 load by
name. There is no classifier: what is used are the maps of the four stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Architecture = Literal["resnet50", "resnet18", "small"]


@dataclass(frozen=True)
class _Plan:
    blocks: tuple[int, int, int, int]
    bottleneck: bool
    #: Side and stride of the first convolution.
    stem: tuple[int, int]


_PLANS: dict[Architecture, _Plan] = {
    "resnet50": _Plan((3, 4, 6, 3), bottleneck=True, stem=(7, 2)),
    "resnet18": _Plan((2, 2, 2, 2), bottleneck=False, stem=(7, 2)),
    # For CPUs and small images: one block a stage, and no stride before the pooling.
    "small": _Plan((1, 1, 1, 1), bottleneck=False, stem=(3, 1)),
}


class ResNet(nn.Module):
    """Stem and four stages.

    Parameters
    ----------
    architecture
        ``resnet50``, ``resnet18``, or ``small`` with one basic block a stage.
    width
        Channels of the first stage; torchvision's is 64.
    channels
        Channels of the input: 1 for grey values, 3 for torchvision's own.
    """

    def __init__(
        self, architecture: Architecture, *, width: int = 64, channels: int = 1
    ) -> None:
        super().__init__()
        plan = _PLANS[architecture]
        side, stride = plan.stem
        self.conv1 = nn.Conv2d(
            channels, width, side, stride=stride, padding=side // 2, bias=False
        )
        self.bn1 = nn.BatchNorm2d(width)
        cin, dims = width, []
        for number, blocks in enumerate(plan.blocks):
            planes = width * 2**number
            layers: list[nn.Module] = []
            for block in range(blocks):
                step = 2 if number and block == 0 else 1
                made = (_Bottleneck if plan.bottleneck else _Basic)(cin, planes, step)
                layers.append(made)
                cin = made.cout
            self.add_module(f"layer{number + 1}", nn.Sequential(*layers))
            dims.append(cin)
        #: Channels of the four stages.
        self.dims = tuple(dims)
        #: Pixels between the places of each map of :meth:`features`.
        self.strides = tuple(stride * 2**number for number in range(5))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu"
                )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map images (n, C, H, W) to the maps of the four stages."""
        return self.features(x)[1:]

    def features(self, x: Tensor) -> list[Tensor]:
        """Map images (n, C, H, W) to the map of the stem and those of the stages."""
        x = F.relu(self.bn1(self.conv1(x)))
        maps = [x]
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
            maps.append(x)
        return maps


class _Basic(nn.Module):
    def __init__(self, cin: int, planes: int, stride: int) -> None:
        super().__init__()
        self.cout = planes
        self.conv1 = nn.Conv2d(cin, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _shortcut(cin, self.cout, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class _Bottleneck(nn.Module):
    def __init__(self, cin: int, planes: int, stride: int) -> None:
        super().__init__()
        self.cout = 4 * planes
        self.conv1 = nn.Conv2d(cin, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, self.cout, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.cout)
        self.downsample = _shortcut(cin, self.cout, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(cin: int, cout: int, stride: int) -> nn.Module | None:
    if stride == 1 and cin == cout:
        return None
    return nn.Sequential(_Pointwise(cin, cout, stride), nn.BatchNorm2d(cout))


class _Pointwise(nn.Conv2d):
    """A 1x1 convolution at every ``stride``-th pixel.

    Pixels are left out before it: by its own stride, torch 2.13 on several threads of a
    CPU writes beyond its memory in the gradient of few channels, channels last.
    """

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__(cin, cout, 1, bias=False)
        self.every = stride

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        return super().forward(input[..., :: self.every, :: self.every])


def pooled_stages(maps: list[Tensor]) -> Tensor:
    """Join the average of each stage, every one of length 1.

    The release of the joint method lists the last stage twice; here it is there once.

    Parameters
    ----------
    maps
        Of the stages, (n, C_j, H_j, W_j).

    Returns
    -------
    Tensor
        (n, sum C_j), of length ``sqrt(len(maps))``; float32.
    """
    pooled = [F.normalize(x.float().mean(dim=(2, 3)), dim=1) for x in maps]
    return torch.cat(pooled, dim=1)
