"""How many dimensions features really use."""

from __future__ import annotations

import torch
from torch import Tensor


def effective_rank(features: Tensor) -> Tensor:
    """Return exp of the entropy of the normalised singular values of (n, d) features.

    Roy and Vetterli, "The effective rank", EUSIPCO 2007: 1 when all features lie on a
    line, d when they fill all dimensions evenly.
    """
    centred = features.float() - features.float().mean(dim=0)
    values = torch.linalg.svdvals(centred)
    share = values / values.sum().clamp_min(1e-12)
    return torch.exp(-(share * share.clamp_min(1e-12).log()).sum())
