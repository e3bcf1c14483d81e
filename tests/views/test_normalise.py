"""From stored intensities to [-1, 1]."""

from __future__ import annotations

import pytest
import torch

from scanlearn.views.normalise import normalised, shifted


@pytest.mark.parametrize(
    ("units", "stored", "seen"),
    [
        ("HU", [-3000, -1024, -392, 240, 3000], [-1, -1, 0, 1, 1]),
        ("zscore", [-9, -5, 0, 5, 9], [-1, -1, 0, 1, 1]),
        ("unit", [-0.5, 0, 0.5, 1, 2], [-1, -1, 0, 1, 1]),
    ],
)
def test_known_values(units, stored, seen) -> None:
    x = torch.tensor(stored, dtype=torch.float32)
    between = shifted(x, units)
    assert between.min() == 0
    assert between.max() == 1264
    torch.testing.assert_close(normalised(between), torch.tensor(seen).float())
