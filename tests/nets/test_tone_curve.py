"""The curve in front of an encoder against numbers made by hand."""

from __future__ import annotations

import pytest
import torch

from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.tone_curve import ToneCurve
from scanlearn.views.normalise import knee_of, normalised, shifted


def test_a_knee_bends_the_range_and_cuts_nothing_off() -> None:
    x = torch.tensor([-1.0, -0.75, -0.5, 0.25, 1.0, 1.5, -1.1])
    found = ToneCurve(-0.5)(x)
    # Three quarters of the range below the knee, one above; both go on beyond [-1, 1].
    by_hand = torch.tensor([-1.0, -0.25, 0.5, 0.75, 1.0, 1 + 1 / 6, -1.3])
    torch.testing.assert_close(found, by_hand)


def test_without_a_knee_nothing_changes() -> None:
    x = torch.randn(5)
    assert ToneCurve(None)(x) is x


@pytest.mark.parametrize("knee", [-1.0, 1.0, 3.0])
def test_a_knee_outside_the_range_is_refused(knee) -> None:
    with pytest.raises(ValueError, match="between"):
        ToneCurve(knee)


def test_the_knee_is_where_its_hounsfield_units_are() -> None:
    knee = knee_of(-600, "HU")
    assert knee == pytest.approx(float(normalised(shifted(torch.tensor(-600.0), "HU"))))
    assert ToneCurve(knee)(torch.tensor(knee)) == pytest.approx(0.5)
    assert knee_of(-600, "zscore") is None
    assert knee_of(None, "HU") is None


def test_an_encoder_sees_the_curve_alone() -> None:
    torch.manual_seed(0)
    bent = LocationEncoder(width=2, dim=8, experts=2, knee=-0.5).eval()
    plain = LocationEncoder(width=2, dim=8, experts=2).eval()
    plain.load_state_dict(bent.state_dict())
    x, where = torch.rand(2, 1, 16, 16, 16) * 2 - 1, torch.zeros(1, 3)
    assert torch.equal(bent(x, where), plain(ToneCurve(-0.5)(x), where))
    pairs = zip(
        bent.features(x, where), plain.features(bent.tone(x), where), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)
