"""DrasCLR written down plainly from its description: what the fast path is held to.

One kernel mix and one convolution a sample, the queue (dim, K, landmarks) inside the
module, an EMA that makes every parameter anew, MONAI's transforms sample by sample. Not
part of the package.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Channels in, channels out, stride.
LAYERS = (
    (1, 8, 1), (8, 8, 2),
    (8, 16, 1), (16, 16, 1), (16, 16, 2),
    (16, 32, 1), (32, 32, 1), (32, 32, 2),
    (32, 64, 1), (64, 64, 1), (64, 64, 2),
    (64, 128, 1), (128, 128, 2),
)  # fmt: skip


class PlainConv(nn.Module):
    """A convolution whose kernel is mixed for every sample."""

    def __init__(self, cin: int, cout: int, stride: int, experts: int = 8) -> None:
        super().__init__()
        self.stride = stride
        bound = (27 * cin) ** -0.5
        shape = (experts, cout, cin, 3, 3, 3)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(cout))
        self.routing = nn.Linear(3, experts)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """Convolve (N, C, D, H, W) at places (N, 3)."""
        rows = []
        for sample, place in zip(x, places, strict=True):
            gates = torch.sigmoid(self.routing(place))
            kernel = (gates[:, None, None, None, None, None] * self.weight).sum(0)
            rows.append(
                F.conv3d(sample[None], kernel, self.bias, self.stride, padding=1)
            )
        return torch.cat(rows)


class PlainEncoder(nn.Module):
    """Thirteen layers and the projection head; every sample brings its place."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(PlainConv(*layer) for layer in LAYERS)
        self.norms = nn.ModuleList(nn.BatchNorm3d(layer[1]) for layer in LAYERS)
        self.head = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128))

    def trunk(self, x: Tensor, places: Tensor) -> Tensor:
        """Encode patches (N, 1, S, S, S) at places (N, 3)."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.elu(norm(conv(x, places)))
        return x.flatten(1)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """Project and normalise what the trunk says."""
        return F.normalize(self.head(self.trunk(x, places)), dim=1)


class PlainStep(nn.Module):
    """One training step with local and neighbouring loss and a momentum queue."""

    def __init__(self, *, landmarks: int = 581, length: int = 4096) -> None:
        super().__init__()
        self.query = PlainEncoder()
        self.key = copy.deepcopy(self.query).requires_grad_(requires_grad=False)
        queue = torch.randn(128, length, landmarks)
        self.register_buffer("queue", F.normalize(queue, dim=0))
        self.optimiser = torch.optim.SGD(
            self.query.parameters(), 0.01, momentum=0.9, weight_decay=1e-4
        )

    def step(self, x: Tensor, y: Tensor, near: Tensor, places: Tensor) -> float:
        """Take views (B, 1, S, S, S) twice, neighbours (B, R, S, S, S), (1 + R, 3)."""
        batch, count = near.shape[:2]
        q = self.query(x, places[:1].expand(batch, 3))
        around = near.reshape(-1, 1, *near.shape[2:])
        r = self.query(around, places[1:].repeat(batch, 1)).view(batch, count, -1)
        with torch.no_grad():
            for mine, theirs in zip(
                self.key.parameters(), self.query.parameters(), strict=True
            ):
                mine.data = mine.data * 0.999 + theirs.data * 0.001
            shuffle = torch.randperm(batch)
            k = self.key(y[shuffle], places[:1].expand(batch, 3))[shuffle.argsort()]
        negatives = self.queue[:, :, 7].clone()
        loss = torch.zeros(())
        for similarity in (q, r.sum(1)):
            positive = (similarity * k).sum(1, keepdim=True)
            logits = torch.cat([positive, similarity @ negatives], 1) / 0.2
            loss = loss + F.cross_entropy(logits, torch.zeros(batch, dtype=torch.long))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.queue[:, :batch, 7] = k.T
        return float(loss.detach())
