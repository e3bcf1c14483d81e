"""A teacher that follows its student as a moving average, and makes the keys."""

from __future__ import annotations

import copy
from collections.abc import Iterable

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
    def keys(self, x: Tensor, locations: Tensor, order: Tensor) -> Tensor:
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
        order
            (B,) a random permutation.

        Returns
        -------
        Tensor
            (G, B, D) unit vectors in the order of ``x``.
        """
        groups = len(locations)
        x = x.view(groups, -1, *x.shape[1:])
        encoder, head = self
        # A half of one patch has no statistics: two or three patches stay together.
        halves = 2 if groups * (len(order) // 2) > 1 else 1
        parts = [
            head(encoder(x[:, half].flatten(0, 1), locations)).view(
                groups, len(half), -1
            )
            for half in order.chunk(halves)
        ]
        keys = torch.cat(parts, dim=1)[:, order.argsort()]
        return F.normalize(keys.float(), dim=-1)
