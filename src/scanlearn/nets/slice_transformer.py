"""Slices of a volume as tokens: a transformer, its holistic feature, hidden slices."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn import processes
from scanlearn.nets.deformable_attention import DeformableAttention

#: Slice positions run from 0 to this along every volume, whatever its slices.
_POSITIONS = 64.0


class SliceTransformer(nn.Module):
    """Post-norm layers of deformable attention along the slices.

    Nguyen et al., "Joint Self-Supervised Image-Volume Representation Learning with
    Intra-Inter Contrastive Clustering", AAAI 2023. Volumes may have any number of
    slices; those of a batch are padded and come with their lengths.

    Parameters
    ----------
    dim, layers, heads, head_width, hidden
        Sizes; ``hidden`` is that between the two linear maps of a layer.
    stride, kernel, reach
        Of :class:`~scanlearn.nets.deformable_attention.DeformableAttention`.
    dropout
        After each normalisation, as in the release.
    position
        Whether a slice is told where in the volume it lies.
    """

    def __init__(
        self,
        dim: int,
        *,
        layers: int,
        heads: int,
        head_width: int,
        hidden: int,
        stride: int = 4,
        kernel: int = 6,
        reach: float = 2.0,
        dropout: float = 0.1,
        position: bool = True,
    ) -> None:
        super().__init__()
        self.position = position
        self.layers = nn.ModuleList(
            _Layer(
                DeformableAttention(
                    dim,
                    heads=heads,
                    head_width=head_width,
                    stride=stride,
                    kernel=kernel,
                    reach=reach,
                ),
                dim,
                hidden,
                dropout,
            )
            for _ in range(layers)
        )

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Map tokens (B, N, dim) of volumes with (B,) slices to (B, N, dim)."""
        there = slice_mask(lengths, tokens.shape[1])[..., None]
        x = self._placed(tokens, lengths) * there
        for layer in self.layers:
            x = layer(x, lengths) * there
        return x

    @torch.no_grad()
    def looks(self, tokens: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return where the heads of each layer look; see the attention's ``looks``."""
        there = slice_mask(lengths, tokens.shape[1])[..., None]
        x, found = self._placed(tokens, lengths) * there, []
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            found.append(layer.attention.looks(x, lengths))
            x = layer(x, lengths) * there
        return found

    def _placed(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        if not self.position:
            return tokens.float()
        return tokens.float() + slice_positions(lengths, *tokens.shape[1:])


class _Layer(nn.Module):
    def __init__(
        self, attention: DeformableAttention, dim: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention = attention
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.linear1, self.linear2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = self.dropout(self.norm1(x + self.attention(x, lengths)))
        inner = self.linear2(self.dropout(F.gelu(self.linear1(x))))
        found: Tensor = self.dropout(self.norm2(x + inner))
        return found


class HiddenSlices(nn.Module):
    """What stands for a hidden slice, and what reads its embedding back."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(dim) / math.sqrt(dim))
        self.decoder = nn.Linear(dim, dim)

    def hide(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """Put the learned token in the place of hidden ones, (B, N) true."""
        return torch.where(hidden[..., None], self.token, tokens)

    def losses(
        self,
        transformer: SliceTransformer,
        tokens: Tensor,
        lengths: Tensor,
        *,
        share: float,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Hide a share of the slices (B, N, dim) of (B,) lengths, and predict them.

        Returns
        -------
        dict
            ``masked``, the loss, and what a copy (``copied``) and a guess
            (``guessed``) would lose.
        """
        hidden = hidden_slices(
            lengths, tokens.shape[1], share=share, generator=generator
        )
        predicted = self.decoder(transformer(self.hide(tokens, hidden), lengths))
        kept = tokens.detach()
        return {
            "masked": hidden_loss(predicted, kept, hidden),
            "copied": copied_loss(kept, hidden, lengths),
            "guessed": guessed_loss(kept, hidden, lengths),
        }


def hidden_loss(predicted: Tensor, tokens: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean squared distance of hidden slices' embeddings, of unit length.

    It is twice 1 - cosine. Slices that were seen do not count, and no gradient reaches
    the embeddings.

    Parameters
    ----------
    predicted, tokens
        (B, N, dim) from the decoder and from the slice embedding.
    hidden
        (B, N), true where a slice was hidden.
    """
    target = F.normalize(tokens.detach().float(), dim=-1)
    guess = F.normalize(predicted.float(), dim=-1)
    far = (guess - target).square().sum(dim=-1)[hidden].sum()
    return processes.summed(far) / processes.summed(hidden.sum())


def copied_loss(tokens: Tensor, hidden: Tensor, lengths: Tensor) -> Tensor:
    """Return the loss of a copy: each hidden slice is its nearest slice that is seen.

    The measure of :func:`hidden_loss` for whoever knows nothing but that neighbouring
    slices look alike.
    """
    places = torch.arange(tokens.shape[1], device=tokens.device)
    distance = (places[:, None] - places).abs()
    seen = slice_mask(lengths, tokens.shape[1]) & ~hidden
    far = torch.where(seen[:, None, :], distance, tokens.shape[1])
    nearest = far.argmin(dim=2)[..., None].expand_as(tokens)
    return hidden_loss(tokens.gather(1, nearest), tokens, hidden)


def guessed_loss(tokens: Tensor, hidden: Tensor, lengths: Tensor) -> Tensor:
    """Return the loss of a guess: each hidden slice is the mean of those seen.

    The measure of :func:`hidden_loss` for whoever knows the volume, not the place.
    """
    seen = slice_mask(lengths, tokens.shape[1]) & ~hidden
    total = (tokens * seen[..., None]).sum(dim=1, keepdim=True)
    return hidden_loss(total.expand_as(tokens), tokens, hidden)


def hidden_slices(
    lengths: Tensor, size: int, *, share: float, generator: torch.Generator
) -> Tensor:
    """Choose exactly ``ceil(share n)`` of the n slices of each volume: (B, size).

    At least one slice stays to be seen, unless it is the only one.
    """
    n, device = processes.whole(len(lengths)), lengths.device
    noise = torch.rand(n, size, generator=generator, device=device)
    noise = processes.share(noise)
    noise = noise.masked_fill(~slice_mask(lengths, size), 2.0)
    count = torch.ceil(lengths.double() * share - 1e-9).long().clamp_min(1)
    count = torch.minimum(count, (lengths - 1).clamp_min(1))
    rank = noise.argsort(dim=1).argsort(dim=1)
    return rank < count[:, None]


def holistic(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Return the unit mean (B, dim) of the slices of each volume, (B, N, dim)."""
    there = slice_mask(lengths, tokens.shape[1])[..., None]
    mean = (tokens.float() * there).sum(dim=1) / lengths[:, None]
    return F.normalize(mean, dim=1)


def slice_mask(lengths: Tensor, size: int) -> Tensor:
    """Return (B, size), true where a volume has a slice."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def slice_positions(lengths: Tensor, size: int, dim: int) -> Tensor:
    """Return sine and cosine codes (B, size, dim) of where in its volume a slice lies.

    Vaswani et al., "Attention Is All You Need", 2017; the position is relative, so that
    volumes of different numbers of slices agree. Its length is 1, as an embedding's.
    """
    places = torch.arange(size, device=lengths.device)
    relative = places / (lengths - 1).clamp_min(1)[:, None] * _POSITIONS
    steps = torch.arange((dim + 1) // 2, device=lengths.device)
    angles = relative[..., None] * 1e4 ** (-2 * steps / dim)
    code = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(2)[..., :dim]
    return code * math.sqrt(2 / dim)
