"""Attention along a sequence whose keys are taken where the sequence itself says.

After Xia et al., "Vision Transformer with Deformable Attention", CVPR 2022, in one
dimension, with the continuous position bias of Swin Transformer V2 (Liu et al., CVPR
2022). In the joint method the sequence are the slices of a volume.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DeformableAttention(nn.Module):
    """Multi-head attention over sampled positions; every head has its own.

    Parameters
    ----------
    dim
        Channels of the sequence, a multiple of ``heads``.
    heads, head_width
        Heads, and channels of each. Every head sees its share of the input's channels.
    stride
        One position is sampled for so many members of the sequence.
    kernel
        Length of the window from which its offset is computed.
    reach
        Largest offset, in units of ``stride`` members.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        head_width: int,
        stride: int = 4,
        kernel: int = 6,
        reach: float = 2.0,
    ) -> None:
        super().__init__()
        if dim % heads or (kernel - stride) % 2 or kernel < stride:
            raise ValueError(f"{dim=}, {heads=}, {stride=} and {kernel=} do not fit")
        self.heads, self.stride, self.kernel, self.reach = heads, stride, kernel, reach
        inner = heads * head_width
        self.queries = nn.Conv1d(dim, inner, 1, groups=heads, bias=False)
        self.keys = nn.Conv1d(dim, inner, 1, groups=heads, bias=False)
        self.values = nn.Conv1d(dim, inner, 1, groups=heads, bias=False)
        self.out = nn.Conv1d(inner, dim, 1)
        # One small network, shared by the heads.
        self.offset_window = nn.Conv1d(
            head_width,
            head_width,
            kernel,
            stride=stride,
            padding=(kernel - stride) // 2,
            groups=head_width,
        )
        self.offset_value = nn.Conv1d(head_width, 1, 1, bias=False)
        width = max(4, dim // 4)
        self.bias = nn.Sequential(
            *(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()),
            nn.Linear(width, 1),
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Attend.

        Parameters
        ----------
        x
            (B, L, dim); what lies beyond a sequence's length must be zero.
        lengths
            (B,) members of each sequence, from 1 to L.

        Returns
        -------
        Tensor
            (B, L, dim).
        """
        batch, length, _ = x.shape
        x = x.transpose(1, 2)
        q = self._queries(x, lengths)
        where = self._where(q, lengths)  # (B, heads, M)
        picked = gather_linear(x.unflatten(1, (self.heads, -1)), where).flatten(1, 2)
        q, k, v = (
            part.unflatten(1, (self.heads, -1))
            for part in (q, self.keys(picked), self.values(picked))
        )
        scores = torch.einsum("bhci,bhcm->bhim", q, k) / math.sqrt(q.shape[2])
        scores = scores.float() + self._bias(where, lengths, length)
        there = _inside(self.samples(lengths), where.shape[-1])[:, None, None]
        weights = scores.masked_fill(~there, -torch.inf).softmax(dim=-1).to(v.dtype)
        found = torch.einsum("bhim,bhcm->bhci", weights, v)
        mixed: Tensor = self.out(found.reshape(batch, -1, length))
        return mixed.transpose(1, 2)

    def looks(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return where each head samples (B, heads, M), and would without offsets."""
        where = self._where(self._queries(x.transpose(1, 2), lengths), lengths)
        rest = sampled_positions(
            torch.zeros_like(where), lengths, self.samples(lengths)
        )
        return where, rest

    def _queries(self, x: Tensor, lengths: Tensor) -> Tensor:
        found: Tensor = self.queries(x) * _inside(lengths, x.shape[-1])[:, None]
        return found

    def _where(self, queries: Tensor, lengths: Tensor) -> Tensor:
        offsets = self.offsets(queries)
        return sampled_positions(offsets, lengths, self.samples(lengths))

    def offsets(self, queries: Tensor) -> Tensor:
        """Return (B, heads, M) offsets in (-reach, reach) of queries (B, inner, L)."""
        batch, _, length = queries.shape
        per_head = queries.reshape(batch * self.heads, -1, length)
        # A shorter sequence than the window still has one sample.
        missing = self.kernel - 2 * ((self.kernel - self.stride) // 2) - length
        per_head = F.pad(per_head, (0, max(0, missing)))
        raw = self.offset_value(F.gelu(self.offset_window(per_head)))
        bounded: Tensor = raw.float().tanh().view(batch, self.heads, -1)
        return self.reach * bounded

    def samples(self, lengths: Tensor) -> Tensor:
        """Return how many positions are sampled of sequences of these lengths."""
        pad = (self.kernel - self.stride) // 2
        return ((lengths + 2 * pad - self.kernel) // self.stride + 1).clamp_min(1)

    def _bias(self, where: Tensor, lengths: Tensor, length: int) -> Tensor:
        """Return the position bias (B, heads, L, M); a sequence runs from -1 to 1."""
        half = ((lengths - 1).clamp_min(1) / 2)[:, None, None, None]
        own = torch.arange(length, device=where.device)[None, None, :, None]
        distance = (own - where[:, :, None, :]) / half
        squashed = distance.sign() * distance.abs().log1p()
        bias: Tensor = self.bias(squashed[..., None])[..., 0]
        return bias.float()


def sampled_positions(offsets: Tensor, lengths: Tensor, samples: Tensor) -> Tensor:
    """Spread M points evenly from the first to the last member and move them.

    Parameters
    ----------
    offsets
        (B, heads, M) in units of the points' distance.
    lengths, samples
        (B,) members of each sequence, and how many points it has.

    Returns
    -------
    Tensor
        (B, heads, M) positions in [0, length - 1]; point m is ``m (L-1)/(M-1)`` where
        the offset is zero, or the middle where there is but one.
    """
    m = torch.arange(offsets.shape[-1], device=offsets.device)
    gaps = (samples - 1).clamp_min(1)[:, None, None]
    last = (lengths - 1)[:, None, None].to(offsets.dtype)
    first = torch.where(samples == 1, 0.5, 0.0)[:, None, None]
    where = (m + offsets + first) / gaps * last
    return torch.minimum(where.clamp_min(0), last)


def gather_linear(x: Tensor, where: Tensor) -> Tensor:
    """Interpolate (B, G, C, L) along L at positions (B, G, M): (B, G, C, M)."""
    low = where.floor().clamp(0, max(0, x.shape[-1] - 2)).long()
    share = (where - low)[:, :, None, :].to(x.dtype)
    at = low[:, :, None, :].expand(-1, -1, x.shape[2], -1)
    below = x.gather(-1, at)
    above = x.gather(-1, (at + 1).clamp_max(x.shape[-1] - 1))
    return torch.lerp(below, above, share)


def _inside(lengths: Tensor, size: int) -> Tensor:
    """Return (B, size) true for places before each length."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]
