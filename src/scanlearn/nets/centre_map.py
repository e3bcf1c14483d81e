"""Objects as centres on a map: targets, losses and back again, in 2D and 3D.

Zhou, Wang and Krähenbühl, Objects as points, 2019 (CenterNet): a heat map peaks at
every object's centre, and at the peak the network also tells where between the cells
the centre lies and how large the object is. No anchors, no sizes to choose beforehand.

A map lies on cells of ``stride`` voxels. Its channels are one logit of the heat, the
offsets (n,) to the centre in cells along the array axes, and the logarithms (s,) of the
sizes over the cell's: a diameter (s = 1), or the sides of a box (s = n).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn import processes

#: The heat falls off with a Gaussian of a sixth of the size, but at least half a cell.
_SIGMA_OF_SIZE, _SIGMA_OF_CELL = 1 / 6, 0.5

#: Cells hotter than this learn offsets and sizes too, weighted by their heat
#: (Liu et al., Training-time-friendly network, AAAI 2020): with few objects the peaks
#: alone teach slowly.
_WARM = 0.3

#: A network that has learned little finds one in every cell; every pair of findings is
#: then looked at for overlap, which took 16 s and 5 GB on a radiograph of 256 pixels.
MOST_CANDIDATES = 2000

#: Exponents of the focal loss and of its reduction near centres.
_ALPHA, _BETA = 2.0, 4.0

#: Offsets count less than heat, as in CenterNet; a size in logarithms is small already.
_OFFSET_WEIGHT = 0.5

#: Share of cells that a network takes for centres before it has learned anything.
PRIOR = 0.01


@dataclass(frozen=True)
class Cells:
    """How cells lie on voxels.

    Parameters
    ----------
    stride
        Voxels of a cell along each axis.
    size
        Of a cell along each array axis, in the unit of the objects' sizes.
    """

    stride: int
    size: tuple[float, ...]

    @property
    def unit(self) -> float:
        """Geometric mean size of a cell, which sizes are told in."""
        return float(torch.tensor(self.size).log().mean().exp())

    def of_voxels(self, voxels: Tensor) -> Tensor:
        """Map voxel indices (..., n) to cell indices, both counted at their middles."""
        return (voxels - (self.stride - 1) / 2) / self.stride

    def to_voxels(self, cells: Tensor) -> Tensor:
        """Map cell indices (..., n) to voxel indices."""
        return cells * self.stride + (self.stride - 1) / 2


@dataclass(frozen=True, eq=False)
class Targets:
    """What a map should say.

    Parameters
    ----------
    heat
        (B, *cells) from 0 to 1; exactly 1 in the cell of a centre.
    offsets, sizes
        (B, n, *cells) and (B, s, *cells) of the object that is hottest there.
    weight
        (B, *cells) how much offsets and sizes count.
    """

    heat: Tensor
    offsets: Tensor
    sizes: Tensor
    weight: Tensor


def centre_targets(objects: Tensor, shape: tuple[int, ...], cells: Cells) -> Targets:
    """Draw the targets of some samples.

    Parameters
    ----------
    objects
        (B, K, n + s) centres in voxel indices and sizes, K at least 1; rows of NaN are
        no objects. A centre outside the map warms its border but is no positive.
    shape
        Cells along the n axes.
    cells
        How they lie.
    """
    n = len(shape)
    batch, count = objects.shape[:2]
    there = objects.isfinite().all(dim=2)  # (B, K)
    known = objects.nan_to_num(1.0)
    centres, sizes = cells.of_voxels(known[..., :n]), known[..., n:]
    axes = [torch.arange(size, device=objects.device) for size in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))  # (n, *cells)
    ones = (1,) * n
    away = centres.view(batch, count, n, *ones) - grid  # (B, K, n, *cells)
    unit = torch.tensor(cells.size, device=objects.device).view(n, *ones)
    sigma = (sizes.mean(dim=2) * _SIGMA_OF_SIZE).clamp_min(
        _SIGMA_OF_CELL * max(cells.size)
    )
    far = (away * unit).square().sum(dim=2)
    heats = torch.exp(-far / (2 * sigma.square()).view(batch, count, *ones))
    nearest = (centres + 0.5).floor().view(batch, count, n, *ones)
    heats = torch.where((nearest == grid).all(dim=2), 1.0, heats)
    heats = heats * there.view(batch, count, *ones)
    heat, owner = heats.max(dim=1)  # (B, *cells)
    pick = owner[:, None, None]
    offsets = away.gather(1, pick.expand(-1, 1, n, *shape))[:, 0]
    logs = (sizes / cells.unit).log()
    logs = logs.view(batch, count, -1, *ones).expand(-1, -1, -1, *shape)
    own = logs.gather(1, pick.expand(-1, 1, logs.shape[2], *shape))[:, 0]
    weight = heat * (heat > _WARM)
    return Targets(heat, offsets, own, weight)


def centre_loss(
    maps: Tensor, targets: Targets, *, hardest: int | None = None
) -> dict[str, Tensor]:
    """Return the losses of ``heat``, ``offset`` and ``size``, to be added.

    Parameters
    ----------
    maps
        (B, 1 + n + s, *cells) of the network.
    targets
        What they should say.
    hardest
        Of each sample only this many of the wrongest cells without a centre count: a
        chest is nearly all easy background. All of them when None.
    """
    maps = maps.float()
    n = targets.offsets.shape[1]
    weight = targets.weight[:, None]
    total = processes.summed(weight.sum()).clamp_min(1e-6)
    offset = F.smooth_l1_loss(maps[:, 1 : n + 1], targets.offsets, reduction="none")
    size = F.smooth_l1_loss(maps[:, n + 1 :], targets.sizes, reduction="none")
    return {
        "heat": heat_loss(maps[:, 0], targets.heat, hardest=hardest),
        "offset": _OFFSET_WEIGHT * processes.summed((offset * weight).sum()) / total,
        "size": processes.summed((size * weight).sum()) / total,
    }


def heat_loss(logits: Tensor, heat: Tensor, *, hardest: int | None = None) -> Tensor:
    """Focal loss with reduced penalty near centres, over the number of centres.

    Law and Deng, CornerNet, ECCV 2018, equation 1.

    Parameters
    ----------
    logits, heat
        (B, *cells).
    hardest
        See :func:`centre_loss`.
    """
    p = logits.sigmoid()
    is_centre = heat == 1
    right = (1 - p).pow(_ALPHA) * F.logsigmoid(logits) * is_centre
    wrong = (1 - heat).pow(_BETA) * p.pow(_ALPHA) * F.logsigmoid(-logits) * ~is_centre
    wrong = -wrong.flatten(1)
    if hardest is not None and hardest < wrong.shape[1]:
        wrong = wrong.topk(hardest, dim=1).values
    count = processes.summed(is_centre.sum()).clamp_min(1)
    return processes.summed(wrong.sum() - right.sum()) / count


def decode(
    heat: Tensor, offsets: Tensor, sizes: Tensor, cells: Cells, *, least: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores (k,), centres (k, n) in voxel indices and sizes (k, s), best first.

    A finding is a cell whose heat is the highest of its neighbourhood of three; the
    best :data:`MOST_CANDIDATES` are told.

    Parameters
    ----------
    heat
        (*cells,) from 0 to 1.
    offsets, sizes
        (n, *cells) and (s, *cells) as the network tells them.
    cells
        How they lie.
    least
        Lowest score of a finding.
    """
    n = heat.dim()
    pool = F.max_pool3d if n == 3 else F.max_pool2d
    highest = pool(heat[None, None], kernel_size=3, stride=1, padding=1)[0, 0]
    flat = ((heat == highest) & (heat >= least)).flatten().nonzero()[:, 0]
    scores, order = heat.flatten()[flat].sort(descending=True, stable=True)
    scores, flat = scores[:MOST_CANDIDATES], flat[order[:MOST_CANDIDATES]]
    where = torch.stack(torch.unravel_index(flat, heat.shape), dim=1)  # (k, n)
    centres = cells.to_voxels(where + offsets.flatten(1)[:, flat].T)
    return scores, centres, sizes.flatten(1)[:, flat].T.exp() * cells.unit
