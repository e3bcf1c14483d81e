"""The light of a contrastive training, from steps made by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn.pretraining.drasclr.contrast_health import ContrastHealth
from scanlearn.pretraining.shared.effective_rank import effective_rank


def spread_out(seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return F.normalize(torch.randn(2, 8, 16), dim=-1)


def meter_at(accuracy: float, *, batch: int = 8, queries: Tensor | None = None):
    meter = ContrastHealth(batch=batch)
    q = spread_out() if queries is None else queries
    meter.add(q, q, torch.zeros(2, 8, 5), torch.tensor(accuracy))
    return meter


@pytest.mark.parametrize(
    ("accuracy", "step", "light"),
    [
        (0.5, 10, "green"),  # four times chance
        (0.3, 10, "amber"),  # early
        (0.1, 299, "amber"),
        (0.3, 300, "amber"),  # 2.4 times
        (0.1, 300, "red"),  # below chance
        (0.18, 5000, "red"),  # 1.4 times
    ],
)
def test_light_by_retrieval_and_patience(accuracy, step, light) -> None:
    health = meter_at(accuracy).report(step, queue_fill=0.5)
    assert health.light == light
    assert health.step == step
    assert f"{accuracy * 8:.1f}x" in health.sentence
    assert health.values["times_chance"] == pytest.approx(accuracy * 8)
    assert health.values["queue_fill"] == 0.5


def test_with_two_patients_green_is_within_reach() -> None:
    queries = spread_out()[:, :2]
    meter = ContrastHealth(batch=2)
    meter.add(queries, queries, torch.zeros(2, 2, 2), torch.tensor(0.9))
    assert meter.report(1000, queue_fill=1).light == "green"


def test_collapse_is_red_at_once() -> None:
    same = F.normalize(torch.ones(2, 8, 16) + 0.001 * spread_out(), dim=-1)
    health = meter_at(1.0, queries=same).report(1, queue_fill=1)
    assert health.light == "red"
    assert "same" in health.sentence


@pytest.mark.parametrize(
    ("losses", "light"),
    [
        ({"local": 1.0}, "green"),
        ({"local": 1.0, "neighbouring": 1.2}, "green"),
        ({"local": 1.6}, "amber"),  # ln 5 is 1.609
        ({"local": 1.0, "neighbouring": 1.7}, "amber"),
    ],
)
def test_every_term_must_beat_guessing(losses, light) -> None:
    meter, q = ContrastHealth(batch=8), spread_out()
    terms = {name: torch.tensor(value) for name, value in losses.items()}
    meter.add(q, q, torch.zeros(2, 8, 5), torch.tensor(0.9), terms)
    assert meter.report(1000, queue_fill=1).light == light


def test_numbers_of_one_step() -> None:
    queries = spread_out()
    logits = torch.tensor([2.0, 1.0, -math.inf, 0.0]).expand(2, 8, 4)
    meter = ContrastHealth(batch=8)
    meter.add(queries, queries, logits, torch.tensor(0.25))
    values = meter.report(1, queue_fill=1).values
    assert values["gap"] == pytest.approx(2 - 0.5)
    assert values["chance_loss"] == pytest.approx(math.log(3), abs=1e-4)
    assert values["spread"] == pytest.approx(1, abs=0.1)  # evenly spread unit vectors
    assert 8 < values["rank"] <= 16


def test_an_empty_queue_gives_finite_numbers() -> None:
    logits = torch.full((2, 8, 4), -math.inf)
    logits[..., 0] = 5
    meter = ContrastHealth(batch=8)
    meter.add(spread_out(), spread_out(), logits, torch.tensor(0.0))
    values = meter.report(1, queue_fill=0).values
    assert all(math.isfinite(value) for value in values.values())
    assert values["chance_loss"] == 0


def test_means_run_over_steps_and_go_through_a_checkpoint() -> None:
    meter = meter_at(0.0)
    assert ContrastHealth(batch=8).report(1, queue_fill=0) is None
    expected = 0.0
    for accuracy in (1.0, 0.5, 1.0):
        logits, queries = torch.zeros(2, 8, 5), spread_out()
        meter.add(queries, queries, logits, torch.tensor(accuracy))
        expected += 0.05 * (accuracy - expected)
    assert meter.state()["retrieval"] == pytest.approx(expected)
    other = ContrastHealth(batch=8)
    other.load(meter.state())
    again = other.report(9, queue_fill=1)
    assert again.values == meter.report(9, queue_fill=1).values


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_rank_counts_the_dimensions_that_are_filled_evenly(dimensions) -> None:
    axes = torch.eye(5)[:dimensions]
    features = torch.cat([axes, -axes]) + 3.0
    assert float(effective_rank(features)) == pytest.approx(dimensions, rel=1e-4)


def test_rank_of_uneven_and_of_equal_features() -> None:
    features = torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]])
    share = torch.tensor([0.75, 0.25])
    expected = math.exp(-float((share * share.log()).sum()))
    assert float(effective_rank(features)) == pytest.approx(expected, rel=1e-4)
    assert float(effective_rank(torch.ones(4, 3))) == pytest.approx(1)
