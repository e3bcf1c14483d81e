"""Contrast inside a location: against a loop, and what has no part in it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn.nets.contrast import (
    Negatives,
    contrastive_loss,
    local_logits,
    neighbour_queries,
    retrieval_accuracy,
)


def unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape, dtype=torch.double), dim=-1)


@pytest.fixture
def case() -> tuple[Tensor, Tensor, Tensor, Negatives]:
    """Return 2 locations, 3 patients each, queues of 5 with own and empty places."""
    torch.manual_seed(0)
    patients = torch.tensor([[0, 1, 2], [2, 3, 0]])
    theirs = torch.tensor([[1, 4, 0, -1, 1], [-1, -1, 3, 7, 0]])
    return unit(2, 3, 4), unit(2, 3, 4), patients, Negatives(unit(2, 5, 4), theirs)


def slow_loss(q, k, patients, queue, temperature, in_batch) -> float:
    losses = []
    for g in range(q.shape[0]):
        for b in range(q.shape[1]):
            own = patients[g, b]
            others = [
                key
                for key, whose in zip(queue.keys[g], queue.patients[g], strict=True)
                if whose not in (own, -1)
            ]
            if in_batch:
                others += [k[g, n] for n in range(q.shape[1]) if patients[g, n] != own]
            positive = math.exp(float(q[g, b] @ k[g, b]) / temperature)
            negative = sum(math.exp(float(q[g, b] @ o) / temperature) for o in others)
            losses.append(-math.log(positive / (positive + negative)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_loss_equals_a_loop(case, in_batch, temperature) -> None:
    q, k, patients, queue = case
    logits = local_logits(
        q, k, patients, queue, temperature=temperature, in_batch=in_batch
    )
    assert logits.shape == (2, 3, 1 + 5 + 3 * in_batch)
    expected = slow_loss(q, k, patients, queue, temperature, in_batch)
    assert float(contrastive_loss(logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mean", [False, True])
def test_neighbouring_loss_equals_a_loop(case, mean) -> None:
    """Sum over neighbours inside the exponent, anchor's key, anchor's queue."""
    _, k, patients, queue = case
    r = unit(2, 3, 3, 4)  # three neighbours of 3 patients at 2 locations
    temperature = 0.2 * (3 if mean else 1)

    def similarity(g: int, b: int, key: Tensor) -> float:
        return sum(float(r[g, n, b] @ key) for n in range(3))

    losses = []
    for g in range(2):
        for b in range(3):
            others = [
                key
                for key, whose in zip(queue.keys[g], queue.patients[g], strict=True)
                if whose not in (patients[g, b], -1)
            ]
            positive = math.exp(similarity(g, b, k[g, b]) / temperature)
            negative = sum(math.exp(similarity(g, b, o) / temperature) for o in others)
            losses.append(-math.log(positive / (positive + negative)))
    queries = neighbour_queries(r, mean=mean)
    logits = local_logits(queries, k, patients, queue, temperature=0.2)
    expected = sum(losses) / len(losses)
    assert float(contrastive_loss(logits)) == pytest.approx(expected, rel=1e-5)


def test_one_neighbour_that_is_the_anchor_has_the_local_loss(case) -> None:
    """T3: with R = 1 and the neighbour equal to the anchor both losses are one."""
    q, k, patients, queue = case
    local = local_logits(q, k, patients, queue, temperature=0.2)
    around = neighbour_queries(q[:, None])
    assert torch.equal(local_logits(around, k, patients, queue, temperature=0.2), local)


def test_own_and_empty_keys_have_neither_probability_nor_gradient(case) -> None:
    """T10: keys of the same patient count for nothing."""
    q, k, patients, queue = case
    keys = queue.keys.requires_grad_()
    logits = local_logits(q, k, patients, queue, temperature=0.2)
    share = logits.softmax(dim=-1)[..., 1:]
    masked = (queue.patients[:, None] == patients[..., None]) | (
        queue.patients[:, None] < 0
    )
    assert masked.any()
    assert (share[masked] == 0).all()
    assert (share[~masked] > 0).all()
    (gradient,) = torch.autograd.grad(contrastive_loss(logits[:, 1]), keys)
    own = queue.patients == patients[:, 1:2]
    assert own.any()
    assert (gradient[own | (queue.patients < 0)] == 0).all()
    assert (gradient[~own & (queue.patients >= 0)] != 0).any(dim=-1).all()


def test_gradient_reaches_the_queries_alone_when_keys_are_detached(case) -> None:
    q, k, patients, queue = case
    q.requires_grad_()
    contrastive_loss(local_logits(q, k, patients, queue, temperature=0.2)).backward()
    assert q.grad.abs().sum() > 0
    assert k.grad is None
    assert queue.keys.grad is None


def test_an_empty_queue_costs_nothing(case) -> None:
    q, k, patients, queue = case
    q.requires_grad_()
    nobody = Negatives(queue.keys, torch.full_like(queue.patients, -1))
    loss = contrastive_loss(local_logits(q, k, patients, nobody, temperature=0.2))
    loss.backward()
    assert float(loss.detach()) == 0
    assert (q.grad == 0).all()


def test_chance_and_floor() -> None:
    """The values of the specification for K = 4096 and a temperature of 0.2."""
    assert float(contrastive_loss(torch.zeros(1, 2, 4097))) == pytest.approx(
        8.318, 1e-3
    )
    ideal = torch.zeros(1, 1, 4097)
    ideal[..., 0] = 1 / 0.2
    assert float(contrastive_loss(ideal)) == pytest.approx(3.353, abs=1e-3)
    ideal[..., 0] = 2 / 0.2  # two neighbours
    assert float(contrastive_loss(ideal)) == pytest.approx(0.171, abs=1e-3)


def test_retrieval_counts_queries_that_find_their_own_key() -> None:
    keys = torch.eye(3).expand(2, 3, 3)
    queries = torch.stack([torch.eye(3), torch.eye(3)[[0, 2, 1]]])
    assert float(retrieval_accuracy(queries, keys)) == pytest.approx(4 / 6)
    assert float(retrieval_accuracy(keys, keys)) == 1
