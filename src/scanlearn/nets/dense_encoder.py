"""An encoder for whole volumes: what it says of a window it says in one pass of all.

The release's encoder pads its patches with zeros in every layer, so it cannot be run
over a volume: there it is another function. This one never pads. A window brings the
tissue around its patch along (its halo), and a volume passed once gives, at every
eighth voxel, exactly what the window around it gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn.nets.tone_curve import ToneCurve

_KERNEL = 3
_STRIDES = (2, 2, 2, 1)

#: Voxels from one output to the next, and voxels that one cell of the last map sees.
STRIDE, FIELD = 8, 31

#: Numbers in the largest array of a slab of a volume: 256 MB in float32.
_SLAB_NUMBERS = 64 * 2**20


@dataclass(frozen=True)
class LocationMap:
    """Locations of voxels: ``location = origin + axes @ index``.

    Parameters
    ----------
    origin
        (G, 3) location (x, y, z) of voxel (0, 0, 0) of each image.
    axes
        (G, 3, 3) or (1, 3, 3); column ``a`` is the step of the location from one voxel
        to the next along array axis ``a``.
    """

    origin: Tensor
    axes: Tensor

    def moved(self, start: tuple[int, int, int]) -> LocationMap:
        """Return the map of a box that begins at a voxel."""
        index = torch.tensor(start, dtype=self.axes.dtype, device=self.axes.device)
        return LocationMap(self.origin + self.axes @ index, self.axes)


class DenseEncoder(nn.Module):
    """Four convolutions without padding, each modulated by location, and a mean.

    Parameters
    ----------
    width
        Channels are 2, 4 and 8 times this, then ``dim``.
    dim
        Size of the representation.
    basis
        Kernels that are weighted by location in every layer.
    pool
        Cells along a side of a window, each of 8 voxels.
    voxel_step
        Step of the location (x, y, z) per voxel in the average patient, from which a
        window knows the locations of its voxels.
    knee
        Of the :class:`~scanlearn.nets.tone_curve.ToneCurve` that the input passes.
    """

    def __init__(
        self,
        *,
        width: int = 8,
        dim: int = 128,
        basis: int = 4,
        pool: int = 4,
        voxel_step: tuple[float, float, float],
        knee: float | None = None,
    ) -> None:
        super().__init__()
        self.tone = ToneCurve(knee)
        self.dim, self.pool = dim, pool
        channels = (1, 2 * width, 4 * width, 8 * width, dim)
        first, step, layers = 0, 1, []
        for cin, cout, stride in zip(channels, channels[1:], _STRIDES, strict=False):
            first += (_KERNEL // 2) * step  # voxel at the centre of the first output
            step *= stride
            layers.append(_Layer(cin, cout, basis, stride, (first, step)))
        self.layers = nn.ModuleList(layers)
        x, y, z = voxel_step
        # Array axes run along z, y and x.
        axes = torch.tensor([[[0, 0, x], [0, y, 0], [z, 0, 0]]], dtype=torch.float32)
        self.axes: Tensor
        self.register_buffer("axes", axes, persistent=False)

    @property
    def window(self) -> int:
        """Side of the window of one output: its patch and the halo."""
        return window_side(self.pool)

    def forward(
        self, x: Tensor, locations: Tensor, axes: Tensor | None = None
    ) -> Tensor:
        """Encode windows.

        Parameters
        ----------
        x
            (G * B, 1, W, W, W) with W = :attr:`window`: B windows of the first
            location, then of the next.
        locations
            (G, 3) normalised coordinates of the windows' centres.
        axes
            (G, 3, 3) of :class:`LocationMap`; the average patient's by default.

        Returns
        -------
        Tensor
            (G * B, dim).
        """
        axes = self.axes if axes is None else axes
        centre = (torch.tensor(x.shape[2:], device=x.device) - 1) / 2
        places = LocationMap(locations - axes @ centre, axes)
        return self._cells(x, places).mean(dim=(2, 3, 4))

    @torch.inference_mode()
    def feature_map(self, volume: Tensor, places: LocationMap) -> Tensor:
        """Encode every window of a volume whose first voxel is a multiple of 8.

        The volume passes in slabs, so that memory is bounded.

        Parameters
        ----------
        volume
            (D, H, W), no side shorter than :attr:`window`.
        places
            Locations of its voxels, of one image.

        Returns
        -------
        Tensor
            (dim, D', H', W') with D' = (D - window) // 8 + 1; element (i, j, k) is the
            vector of the window that begins at voxel (8 i, 8 j, 8 k).
        """
        rows = (volume.shape[0] - FIELD) // STRIDE + 1
        per_slab = max(1, _SLAB_NUMBERS // self._numbers_a_row(volume))
        slabs = []
        for first in range(0, rows, per_slab):
            last = min(first + per_slab, rows) - 1
            part = volume[first * STRIDE : last * STRIDE + FIELD]
            where = places.moved((first * STRIDE, 0, 0))
            slabs.append(self._cells(part[None, None], where))
        cells = torch.cat(slabs, dim=2)
        return F.avg_pool3d(cells.float(), self.pool, stride=1)[0]

    def _cells(self, x: Tensor, places: LocationMap) -> Tensor:
        x = self.tone(x)
        for layer in self.layers:
            x = layer(x, places)
        return x

    def _numbers_a_row(self, volume: Tensor) -> int:
        """Count what the first layer makes for one row of cells."""
        first: _Layer = self.layers[0]  # type: ignore[assignment]
        plane = math.prod(volume.shape[1:]) // 4
        return plane * (STRIDE // 2) * first.weight.shape[0] * first.weight.shape[1]


def window_side(pool: int) -> int:
    """Return the side of a window of ``pool`` cells along each axis, in voxels."""
    return FIELD + STRIDE * (pool - 1)


def pool_of(window: int) -> int:
    """Return how many cells a window of so many voxels has along each axis."""
    return (window - FIELD) // STRIDE + 1


class _Layer(nn.Module):
    """Basis kernels, each weighted at every output voxel by a gate of its location.

    ``y(u) = sum_b sigmoid(R p(u) + c)_b (W_b * x)(u) + bias``, then batch norm and ELU:
    the conditional convolution with the location of the voxel in place of that of the
    patch, in the order that lets one pass serve all locations.
    """

    def __init__(
        self, cin: int, cout: int, basis: int, stride: int, lattice: tuple[int, int]
    ) -> None:
        super().__init__()
        self.stride = stride
        #: Input voxels at the centres of the outputs: the first, and their distance.
        self.lattice = lattice
        self.weight = nn.Parameter(
            torch.empty(basis, cout, cin, _KERNEL, _KERNEL, _KERNEL)
        )
        self.bias = nn.Parameter(torch.empty(cout))
        self.routing = nn.Linear(3, basis)
        self.norm = nn.BatchNorm3d(cout)
        bound = 1 / math.sqrt(cin * _KERNEL**3)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, places: LocationMap) -> Tensor:
        basis, cout = self.weight.shape[:2]
        y = F.conv3d(x, self.weight.flatten(0, 1), stride=self.stride)
        groups = len(places.origin)
        gates = self._gates(places, y.shape[2:]).to(y.dtype)
        y = y.view(groups, -1, basis, cout, *y.shape[2:])
        gates = gates[:, None, :, None]  # (G, 1, basis, 1, D, H, W)
        mixed = self.bias.to(y.dtype)[:, None, None, None] + gates[:, :, 0] * y[:, :, 0]
        for number in range(1, basis):
            mixed = torch.addcmul(mixed, gates[:, :, number], y[:, :, number])
        return F.elu(self.norm(mixed.flatten(0, 1)), inplace=True)

    def _gates(self, places: LocationMap, shape: torch.Size) -> Tensor:
        """Return (G, basis, D, H, W): smooth maps, evaluated at the output voxels.

        The routing is linear in the location and that in the index, so its values are
        the sum of one line along each axis.
        """
        first, step = self.lattice
        with torch.autocast(places.origin.device.type, enabled=False):
            logits = self.routing(places.origin)[:, :, None, None, None]
            slopes = self.routing.weight @ places.axes  # (G or 1, basis, 3)
            for axis, size in enumerate(shape):
                index = first + step * torch.arange(size, device=slopes.device)
                line = slopes[:, :, axis, None] * index
                view = [1, 1, 1]
                view[axis] = size
                logits = logits + line.view(*line.shape[:2], *view)
            return torch.sigmoid(logits)
