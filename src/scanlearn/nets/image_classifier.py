"""A linear layer on what a trunk sees on average, and where in the image it saw it.

Zhou et al., "Learning deep features for discriminative localization", CVPR 2016: a
layer that is linear in averages over a map is the average of the layer on the map. Here
the averages of all four stages are joined, so each stage adds its own map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn.nets.resnet import ResNet
from scanlearn.nets.tone_curve import ToneCurve


class ImageClassifier(nn.Module):
    """One logit a class, which is the mean of the class's map plus its bias.

    Parameters
    ----------
    trunk
        Sees the image.
    classes
        How many logits.
    knee
        Of the :class:`~scanlearn.nets.tone_curve.ToneCurve` that images pass.
    """

    def __init__(
        self, trunk: ResNet, *, classes: int, knee: float | None = None
    ) -> None:
        super().__init__()
        self.tone = ToneCurve(knee)
        # Convolutions of a CPU are twice as fast with the channels last.
        self.trunk = trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = nn.Linear(sum(trunk.dims), classes)

    def features(self, x: Tensor) -> Tensor:
        """Map images (n, 1, S, S) to the joined averages of the stages (n, F)."""
        means = [y.float().mean(dim=(2, 3)) for y in self._maps(x)]
        return torch.cat(means, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 1, S, S) to logits (n, classes)."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def activation(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, K) and class-activation maps (n, K, S, S).

        The mean of a map plus the class's bias is its logit: enlarging a map linearly
        by a whole factor keeps its mean.

        Parameters
        ----------
        x
            Images (n, 1, S, S), S a multiple of the trunk's stride.
        """
        side, found = x.shape[-1], None
        maps = self._maps(x)
        logits = self.head(torch.cat([y.float().mean(dim=(2, 3)) for y in maps], dim=1))
        weights = self.head.weight.split([y.shape[1] for y in maps], dim=1)
        for y, weight in zip(maps, weights, strict=True):
            if side % y.shape[-1]:
                raise ValueError(f"{side} is no multiple of a map of {y.shape[-1]}")
            part = F.conv2d(y.float(), weight[:, :, None, None])
            part = F.interpolate(part, [side, side], mode="bilinear")
            found = part if found is None else found + part
        assert found is not None
        return logits, found

    def _maps(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.trunk(
            self.tone(x).contiguous(memory_format=torch.channels_last)
        )
        return maps
