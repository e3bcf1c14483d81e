"""Sliding windows: every voxel covered, blended as MONAI does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import sliding_window_inference
from torch import Tensor
from torch.nn.functional import avg_pool3d, pad

from scanlearn.nets.sliding_windows import gaussian, sliding_windows, window_starts


def network(x: Tensor, starts: object = None) -> Tensor:
    """Give two classes whose scores depend on the place inside the window."""
    ramp = torch.linspace(-1, 1, x.shape[-1])
    return torch.cat([x * ramp, x.flip(2)], dim=1)


@given(st.integers(1, 90), st.integers(1, 40), st.floats(0, 0.95))
def test_windows_cover_an_axis_and_end_flush(size, window, overlap) -> None:
    starts = window_starts(size, window, overlap)
    covered = {n for start in starts for n in range(start, start + window)}
    assert covered >= set(range(size))
    assert starts == sorted(set(starts))
    if size > window:
        assert starts[0] == 0
        assert starts[-1] + window == size
        step = max(1, int(window * (1 - overlap)))
        assert max(np.diff(starts)) <= step


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(1, 21)] * 3), st.integers(2, 9), st.sampled_from([0, 0.5])
)
def test_a_constant_network_gives_constants_for_any_size(shape, window, overlap):
    scores = torch.tensor([0.3, -1.0, 2.0])

    def constant(x: Tensor, _: object) -> Tensor:
        return scores.view(1, 3, 1, 1, 1).expand(len(x), 3, *x.shape[2:])

    found = sliding_windows(
        torch.zeros(shape), constant, window=window, overlap=overlap
    )
    assert found.shape == (3, *shape)
    expected = scores.softmax(0).view(3, 1, 1, 1).expand_as(found)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.75])
def test_equals_monai_with_a_gaussian(overlap) -> None:
    # An odd window: the weights of both are 1 in the middle. MONAI pads on both sides,
    # this on one, so the volume is larger than the window.
    torch.manual_seed(0)
    volume = torch.randn(20, 13, 9)
    expected = sliding_window_inference(
        volume[None, None],
        roi_size=9,
        sw_batch_size=4,
        predictor=lambda x: network(x).softmax(dim=1),
        overlap=overlap,
        mode="gaussian",
        sigma_scale=0.125,
    )[0]
    found = sliding_windows(volume, network, window=9, overlap=overlap)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_equals_a_loop_with_an_even_window() -> None:
    torch.manual_seed(1)
    volume = torch.randn(11, 8, 14)
    weight = gaussian(8)
    total = torch.zeros(2, 11, 8, 14, dtype=torch.double)
    seen = torch.zeros(11, 8, 14, dtype=torch.double)
    for a in (0, 3):
        for c in (0, 4, 6):
            box = (slice(a, a + 8), slice(0, 8), slice(c, c + 8))
            score = network(volume[box][None, None])[0].softmax(dim=0)
            total[(slice(None), *box)] += score * weight
            seen[box] += weight
    found = sliding_windows(volume, network, window=8, overlap=0.5, batch=5)
    torch.testing.assert_close(found, (total / seen).float(), rtol=0, atol=1e-5)


def test_small_volumes_are_padded_by_their_border() -> None:
    volume = torch.randn(3, 12, 5)
    seen = []

    def voxelwise(x: Tensor, starts: object) -> Tensor:
        seen.append((x, starts))
        return torch.cat([x, -x], dim=1)

    found = sliding_windows(volume, voxelwise, window=8, overlap=0.5)
    expected = torch.stack([volume, -volume]).softmax(dim=0)
    torch.testing.assert_close(found, expected)
    padded = np.pad(volume.numpy(), [(0, 5), (0, 0), (0, 3)], mode="edge")
    for windows, starts in seen:
        for window, (a, b, c) in zip(windows, starts, strict=True):
            box = padded[a : a + 8, b : b + 8, c : c + 8]
            np.testing.assert_array_equal(window[0], box)


def test_batches_change_nothing_and_progress_ends_at_the_total() -> None:
    volume = torch.randn(17, 10, 12)
    told: list[tuple[int, int]] = []
    one = sliding_windows(volume, network, window=8, batch=1)
    many = sliding_windows(
        volume, network, window=8, batch=7, progress=lambda *now: told.append(now)
    )
    torch.testing.assert_close(one, many)
    done, total = zip(*told, strict=True)
    assert set(total) == {16}
    assert list(done) == [7, 14, 16]


@pytest.mark.parametrize("window", [1, 2, 9, 32])
def test_weights_fall_from_the_middle_and_are_nowhere_zero(window) -> None:
    weight = gaussian(window)
    assert weight.shape == (window,) * 3
    assert weight.min() > 0
    assert float(weight.max()) == float(weight[(window // 2,) * 3]) == 1
    torch.testing.assert_close(weight, weight.flip(0, 1, 2))


@pytest.mark.parametrize("shape", [(21, 17, 30), (6, 40, 9)])
def test_a_coarser_network_gives_its_values_on_whole_cells(shape) -> None:
    volume = torch.rand(shape)

    def pooled(x: Tensor, _: object) -> Tensor:
        return avg_pool3d(x, 4)

    found = sliding_windows(
        volume, pooled, window=16, overlap=0.25, stride=4, activation=lambda x: x
    )
    missing = [-size % 4 for size in shape]
    ends = [0, missing[2], 0, missing[1], 0, missing[0]]
    whole = pad(volume[None, None], ends, mode="replicate")
    torch.testing.assert_close(found, avg_pool3d(whole, 4)[0])


def test_windows_without_anything_wanted_are_left_out() -> None:
    wanted = torch.zeros(40, 8, 8, dtype=torch.bool)
    wanted[37, 3, 3] = True
    seen = []

    def voxelwise(x: Tensor, starts: np.ndarray) -> Tensor:
        seen.extend(starts[:, 0].tolist())
        return x

    found = sliding_windows(
        torch.ones(40, 8, 8),
        voxelwise,
        window=8,
        overlap=0.5,
        activation=lambda x: x,
        wanted=wanted,
    )
    assert seen == [32]
    assert float(found[0, 32:].min()) == 1
    assert float(found[0, :32].abs().max()) == 0
    with pytest.raises(ValueError, match="nothing is wanted"):
        sliding_windows(
            torch.ones(8, 8, 8), voxelwise, window=8, wanted=wanted[:8] & False
        )
