"""The contrastive losses inside one anatomical location, and around it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Negatives:
    """Keys that a query must be told apart from, per location.

    Parameters
    ----------
    keys
        (G, K, D) unit vectors.
    patients
        (G, K) whose keys they are; -1 where there is no key yet.
    """

    keys: Tensor
    patients: Tensor


def local_logits(
    queries: Tensor,
    keys: Tensor,
    patients: Tensor,
    negatives: Negatives,
    *,
    temperature: float,
    in_batch: bool = False,
    batch: Negatives | None = None,
) -> Tensor:
    """Compare each query with its own key and with keys of other patients.

    DrasCLR's local contrast: all keys come from the same anatomical location, so that
    only what is particular to a patient can tell them apart. Keys of the query's own
    patient, which a small cohort's queue always holds, are masked.

    Parameters
    ----------
    queries, keys
        (G, B, D) unit vectors of two views of the same patches.
    patients
        (G, B) patient numbers.
    negatives
        The queue at each of the G locations.
    temperature
        Divides the cosines.
    in_batch
        Whether the other keys of the batch at the same location are negatives too.
    batch
        The keys of the whole batch, where these are a process's part of it.

    Returns
    -------
    Tensor
        (G, B, 1 + N) logits; the positive is at 0, masked entries are ``-inf``.
    """
    positive = (queries * keys).sum(dim=-1, keepdim=True)
    columns = [positive, _others(queries, negatives.keys, patients, negatives.patients)]
    if in_batch:
        every = batch or Negatives(keys, patients)
        columns.append(_others(queries, every.keys, patients, every.patients))
    return torch.cat(columns, dim=-1) / temperature


def neighbour_queries(neighbours: Tensor, *, mean: bool = False) -> Tensor:
    """Join a patient's neighbouring patches into one query of the anchor's key.

    DrasCLR's neighbouring contrast has the similarity ``s(k) = sum_l r_l . k`` in the
    place of ``q . k``. It is linear in ``k``: the sum of the neighbours is the query.

    Parameters
    ----------
    neighbours
        (G, R, B, D) unit vectors of the R neighbours of each patch.
    mean
        Average instead: the sum's sharpness grows with R, as if the temperature were
        divided by it.

    Returns
    -------
    Tensor
        (G, B, D), not of unit length.
    """
    return neighbours.mean(dim=1) if mean else neighbours.sum(dim=1)


def contrastive_loss(logits: Tensor) -> Tensor:
    """Cross-entropy of logits (..., 1 + N) whose positive is at index 0."""
    logits = logits.flatten(0, -2)
    target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    return F.cross_entropy(logits.float(), target)


def retrieval_accuracy(queries: Tensor, keys: Tensor) -> Tensor:
    """Share of queries (G, B, D) whose nearest key of the batch is their own.

    The honest measure of a momentum-contrast training: unlike the loss it cannot be
    improved by telling new keys from old ones. Chance is 1 / B.
    """
    similarity = queries @ keys.transpose(1, 2)  # (G, B, B)
    own = torch.arange(queries.shape[1], device=queries.device)
    return (similarity.argmax(dim=-1) == own).float().mean()


def _others(queries: Tensor, keys: Tensor, mine: Tensor, theirs: Tensor) -> Tensor:
    similarity = queries @ keys.transpose(1, 2)  # (G, B, K)
    same = mine[:, :, None] == theirs[:, None, :]
    empty = (theirs < 0)[:, None, :]
    return similarity.masked_fill(same | empty, float("-inf"))
