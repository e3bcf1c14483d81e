"""Volumes through a network of slices: whole, in windows, at several sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from scanlearn.tasks.segmentation.crop_windows import segment_crops
from scanlearn.views.normalise import normalised, shifted


class Pointwise(nn.Module):
    """Scores each pixel by its own grey value alone."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5, -3.0]))
        self.seen: list[tuple[int, ...]] = []

    def forward(self, stacks: torch.Tensor) -> torch.Tensor:
        """Map (B, 1, H, W) to (B, 2, 1, H, W)."""
        self.seen.append(tuple(stacks.shape))
        return stacks[:, None] * self.weight.view(1, 2, 1, 1, 1)


def smooth(*shape: int) -> np.ndarray:
    lines = [np.sin(np.linspace(0.3, 2.5, n) + n) for n in shape]
    values = lines[0][:, None, None] + lines[1][:, None] + lines[2]
    return values.astype(np.float32)


def expected(stored: np.ndarray, network: Pointwise) -> torch.Tensor:
    x = normalised(shifted(torch.from_numpy(stored), "zscore"))
    return (x[None] * network.weight.view(2, 1, 1, 1)).softmax(dim=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(5, 40, 50), (3, 33, 7)])
def test_every_voxel_gets_its_own_slices_answer(axis, shape) -> None:
    stored = np.moveaxis(smooth(*shape), 0, axis)
    network, told = Pointwise(), []
    found = segment_crops(
        network,
        stored,
        "zscore",
        crop=32,
        axis=axis,
        progress=lambda done, total: told.append((done, total)),
    )
    assert found.shape == (2, *stored.shape)
    torch.testing.assert_close(found, expected(stored, network))
    assert told[-1] == (shape[0], shape[0])
    # Small slices are seen whole, filled up to what the trunk divides.
    assert {seen[2:] for seen in network.seen} == {
        tuple(-(-n // 32) * 32 for n in shape[1:])
    }


def test_large_slices_are_seen_in_windows_of_the_crops_size() -> None:
    stored, network = smooth(2, 140, 60), Pointwise()
    found = segment_crops(network, stored, "zscore", crop=32, axis=0)
    torch.testing.assert_close(found, expected(stored, network))
    assert {seen[2:] for seen in network.seen} == {(32, 32)}
    # Half overlapping: nine windows along 140 pixels, three along 60.
    assert sum(seen[0] for seen in network.seen) >= 2 * 8 * 3


def test_windows_are_weighted_by_a_gaussian() -> None:
    """Where windows disagree, the one in whose middle a pixel lies counts most."""

    class Ramp(Pointwise):
        def forward(self, stacks: torch.Tensor) -> torch.Tensor:
            line = torch.linspace(-4, 4, stacks.shape[-1]).expand_as(stacks)
            return torch.stack([line, -line], dim=1)

    found = segment_crops(Ramp(), smooth(1, 32, 160), "zscore", crop=32, axis=0)
    (row,) = found[0, 0, :1]
    # The middles of windows lie 16 pixels apart; about them the answer is even.
    middles = (row[31:130:16] + row[32:130:16]) / 2
    assert torch.allclose(middles, torch.tensor(0.5), atol=0.02)
    assert float((row[:-1] - row[1:]).abs().max()) < 0.5


def test_several_sizes_are_averaged_and_laid_back() -> None:
    stored, network = smooth(2, 96, 80), Pointwise()
    found = segment_crops(
        network, stored, "zscore", crop=96, axis=0, scales=(0.75, 1.0, 1.25)
    )
    assert found.shape == (2, *stored.shape)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(
        found[inner], expected(stored, network)[inner], atol=0.02, rtol=0
    )
    torch.testing.assert_close(found.sum(dim=0), torch.ones(stored.shape))
    assert len({seen[2:] for seen in network.seen}) == 3
