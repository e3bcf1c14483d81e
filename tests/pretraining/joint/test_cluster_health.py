"""The light of a clustering training: against scikit-learn, and on known failures."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from scanlearn.nets.clustering import UNASSIGNED
from scanlearn.pretraining.joint.cluster_health import (
    ClusterHealth,
    Use,
    mutual_information,
    use_of,
)


def test_mutual_information_is_scikit_learns() -> None:
    g = torch.Generator().manual_seed(0)
    a = torch.randint(5, (200,), generator=g)
    for b in (
        torch.randint(7, (200,), generator=g),
        a,
        a // 2,
        torch.zeros(200).long(),
    ):
        expected = normalized_mutual_info_score(a, b)
        assert mutual_information(a, b) == pytest.approx(expected, abs=1e-9)
    # A clustering with other names is the same.
    assert mutual_information(a, (a + 2) % 5) == pytest.approx(1)


def test_use_is_the_entropy_of_the_shares() -> None:
    assigned = torch.tensor([0, 0, 1, 2, UNASSIGNED])
    before = torch.tensor([UNASSIGNED, 3, 1, 2, 2])
    use = use_of(assigned, before, torch.tensor([0, 0, 1, 1, 1]), 4)
    entropy = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert use.entropy == pytest.approx(entropy / math.log(4))
    assert use.effective == pytest.approx(math.exp(entropy))
    assert use.changed == pytest.approx(0)  # 3, 1, 2 became 0, 1, 2
    expected = normalized_mutual_info_score([0, 0, 1, 2], [0, 0, 1, 1])
    assert use.source == pytest.approx(expected)
    alone = use_of(assigned, torch.full((5,), UNASSIGNED), torch.zeros(5).long(), 4)
    assert alone.changed is None
    assert alone.source is None


def use(**changes) -> Use:
    good = Use(entropy=0.9, effective=6.0, clusters=8, changed=0.2, source=0.1)
    return Use(**{**good.__dict__, **changes})


def meter(**values: float) -> ClusterHealth:
    health = ClusterHealth()
    health.add({name: torch.tensor(value) for name, value in values.items()})
    return health


@pytest.mark.parametrize(
    ("values", "uses", "light", "word"),
    [
        ({"intra": 0.5, "spread": 0.8}, {"images": use()}, "green", "6 of 8"),
        ({"intra": 0.99}, {"images": use()}, "amber", "do not agree"),
        ({"intra": 0.5}, {"images": use(effective=1.1)}, "red", "one cluster"),
        ({"intra": 0.5, "spread": 0.01}, {"images": use()}, "red", "look the same"),
        ({"inter": 0.5}, {"volumes": use(source=0.9)}, "amber", "where they come from"),
        ({"masked": 0.9, "copied": 0.4}, {}, "amber", "copy"),
        ({"masked": 0.2, "copied": 0.4}, {}, "green", "Hidden slices"),
        ({"masked": 0.5, "copied": 0.6, "guessed": 0.4}, {}, "amber", "the mean"),
        # One term that has learned says nothing of another that has not.
        ({"intra": 0.6, "inter": 1.0}, {"images": use()}, "amber", "of volumes"),
    ],
)
def test_the_light_says_what_is_wrong(values, uses, light, word) -> None:
    found = meter(**values).report(100, uses)
    assert found is not None
    assert found.light == light
    assert word in found.sentence


#: What the recorded pre-trainings of hearts and of hippocampi ended with.
RECORDED = [
    {"intra": 0.9251, "inter": 1.0934, "masked": 1.904, "copied": 0.4071},
    {"intra": 0.8992, "inter": 1.2474, "masked": 1.8228, "copied": 0.3607},
]


@pytest.mark.parametrize("recorded", RECORDED)
def test_two_recorded_runs_that_were_called_green_are_not(recorded) -> None:
    """Volumes worse than guessing, hidden slices far behind a copy; images agreed."""
    found = meter(**recorded, spread=0.43).report(
        150, {"images": use(source=None), "volumes": use(source=None)}
    )
    assert found is not None
    assert found.light == "amber"
    for word in ("volumes", f"{recorded['inter']:.2f}", "copy"):
        assert word in found.sentence
    assert "views of images" not in found.sentence


def test_nothing_is_said_before_the_first_step() -> None:
    assert ClusterHealth().report(0, {}) is None


def test_features_that_are_all_alike_have_no_spread() -> None:
    health = ClusterHealth()
    z = torch.nn.functional.normalize(torch.randn(64, 16), dim=1)
    health.features(z)
    assert 0.9 < health.means["spread"] < 1.1
    assert health.means["rank"] > 8
    same = ClusterHealth()
    same.features(z[:1].expand(64, -1))
    assert same.means["spread"] < 1e-6
    assert same.means["rank"] == pytest.approx(1, abs=1e-3)
    same.features(z * float("nan"))  # the loop says so; the means stay numbers
    assert math.isfinite(same.means["spread"])
