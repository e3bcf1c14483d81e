"""A teacher that follows its student as a moving average, and makes the keys."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MomentumTeacher(nn.ModuleList):
    """Copies of an encoder and its head that no gradient reaches.

    Only parameters are averaged: batch-norm statistics are the teacher's own.

    Parameters
    ----------
    encoder, head
        The student's.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__([copy.deepcopy(encoder), copy.deepcopy(head)])
        self.requires_grad_(requires_grad=False)

    @torch.no_grad()
    def follow(self, student: Iterable[Tensor], momentum: float) -> None:
        """Move towards the student: theta_k <- m theta_k + (1 - m) theta_q."""
        torch._foreach_lerp_(list(self.parameters()), list(student), 1 - momentum)

    @torch.no_grad()
    def keys(self, x: Tensor, locations: Tensor, parts: Sequence[Tensor]) -> Tensor:
        """Encode the keys of G locations, each in two shuffled halves.

        The halves have batch-norm statistics of their own, so that the statistics of a
        batch cannot betray which key belongs to which query: the single-device form of
        MoCo's shuffling batch norm.

        Parameters
        ----------
        x
            (G * B, 1, S, S, S), location by location.
        locations
            (G, 3).
        parts
            Of :func:`shuffled_parts`: together they name each of the B patches.

        Returns
        -------
        Tensor
            (G, B, D) unit vectors in the order of ``x``.
        """
        groups = len(locations)
        x = x.view(groups, -1, *x.shape[1:])
        encoder, head = self
        found = [
            head(encoder(x[:, part].flatten(0, 1), locations)).unflatten(
                0, (groups, len(part))
            )
            for part in parts
        ]
        keys = torch.cat(found, dim=1)[:, torch.cat(list(parts)).argsort()]
        return F.normalize(keys.float(), dim=-1)


def shuffled_parts(order: Tensor, locations: int) -> tuple[Tensor, ...]:
    """Return two halves of a permutation (B,) of the patches at some locations.

    A half of one patch has no statistics: two or three patches stay together.
    """
    return order.chunk(2 if locations * (len(order) // 2) > 1 else 1)
