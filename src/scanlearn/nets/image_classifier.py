"""A linear layer on what a trunk sees on average, and where in the image it saw it.

Zhou et al., "Learning deep features for discriminative localization", CVPR 2016: a
layer that is linear in averages over a map is the average of the layer on the map. Here
the averages of all four stages are joined, so each stage adds its own map; and where a
grid is asked for, the averages of each cell of the first stage's map, so that it counts
where in the image something was seen. Cells of later stages helped less, and cost
accuracy with ten labels (``docs/radiographs.md``).
"""

from __future__ import annotations

from math import gcd

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
    grid
        Cells along the sides of the first stage's map whose averages are read beside
        the whole map's, at most; 1 for none.
    side
        Of the images in pixels, where there is a grid: the map is cut into no more
        cells than divide it evenly.
    """

    def __init__(
        self,
        trunk: ResNet,
        *,
        classes: int,
        knee: float | None = None,
        grid: int = 1,
        side: int = 0,
    ) -> None:
        super().__init__()
        #: Cells along the sides of the first stage's map.
        self.cells = gcd(grid, side // trunk.strides[1]) if grid > 1 else 1
        self.tone = ToneCurve(knee)
        # Convolutions of a CPU are twice as fast with the channels last.
        self.trunk = trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        more = trunk.dims[0] * self.cells**2 if self.cells > 1 else 0
        self.head = nn.Linear(sum(trunk.dims) + more, classes)

    def features(self, x: Tensor) -> Tensor:
        """Map images (n, 1, S, S) to the joined averages of the stages (n, F).

        Of the whole maps first, then of the first one's cells, row by row.
        """
        return self._averages(self._maps(x))

    def _averages(self, maps: list[Tensor]) -> Tensor:
        found = [y.float().mean(dim=(2, 3)) for y in maps]
        if self.cells > 1:
            cells = F.adaptive_avg_pool2d(maps[0].float(), self.cells)
            found.append(cells.flatten(1))
        return torch.cat(found, dim=1)

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
        logits = self.head(self._averages(maps))
        dims = [y.shape[1] for y in maps]
        whole, cells = self.head.weight.tensor_split([sum(dims)], dim=1)
        for y, weight in zip(maps, whole.split(dims, dim=1), strict=True):
            if side % y.shape[-1]:
                raise ValueError(f"{side} is no multiple of a map of {y.shape[-1]}")
            part = F.conv2d(y.float(), weight[:, :, None, None])
            if self.cells > 1 and y is maps[0]:
                part = part + _of_cells(y.float(), cells, self.cells)
            part = F.interpolate(part, [side, side], mode="bilinear")
            found = part if found is None else found + part
        assert found is not None
        return logits, found

    def _maps(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.trunk(
            self.tone(x).contiguous(memory_format=torch.channels_last)
        )
        return maps


def _of_cells(y: Tensor, weights: Tensor, cells: int) -> Tensor:
    """Return maps (n, K, H, W) whose means are what weights of cells add to logits.

    A cell is one of so many, so it weighs as much more than its share of the map.
    """
    own = weights.unflatten(1, (y.shape[1], cells, cells)) * cells**2
    spread = own.repeat_interleave(y.shape[2] // cells, dim=2)
    spread = spread.repeat_interleave(y.shape[3] // cells, dim=3)
    return torch.einsum("nchw,kchw->nkhw", y, spread)
