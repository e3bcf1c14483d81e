"""Kernels mixed by location: against a loop over samples and experts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn.nets.conditional_conv import ConditionalConv3d


def slow(conv: ConditionalConv3d, x: Tensor, locations: Tensor) -> Tensor:
    """Convolve every sample with every expert, then mix the outputs."""
    batch = len(x) // len(locations)
    rows = []
    for number, sample in enumerate(x):
        place = locations[number // batch]
        score = conv.routing.weight @ place + conv.routing.bias
        gates = 1 / (1 + torch.exp(-score))
        row = conv.bias[None, :, None, None, None]
        for gate, kernel in zip(gates, conv.weight, strict=True):
            row = row + gate * F.conv3d(
                sample[None], kernel, stride=conv.stride, padding=1
            )
        rows.append(row)
    return torch.cat(rows)


def gradients(conv: ConditionalConv3d, out: Tensor, x: Tensor) -> list[Tensor]:
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    wanted = [x, *conv.parameters()]
    return list(torch.autograd.grad((out * weights).sum(), wanted))


@pytest.mark.parametrize("groups", [1, 3, 20])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "shape", [(5, 4, 6), (2, 2, 2), (2, 1, 2), (1, 1, 1), (2, 3, 4)]
)
def test_equals_a_loop_over_samples_with_its_gradients(
    groups, stride, batch, channels, shape
) -> None:
    """T1: slices, tiny maps, one kernel a location or in groups: all equal the loop."""
    torch.manual_seed(groups)
    conv = ConditionalConv3d(channels, 3, experts=4, stride=stride).double()
    x = torch.randn(groups * batch, channels, *shape, dtype=torch.double)
    x.requires_grad_()
    locations = torch.rand(groups, 3, dtype=torch.double) * 2 - 1
    fast, expected = conv(x, locations), slow(conv, x, locations)
    torch.testing.assert_close(fast, expected, rtol=0, atol=1e-10)
    for mine, theirs in zip(
        gradients(conv, fast, x), gradients(conv, expected, x), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("groups", [2, 20])
def test_any_memory_layout_gives_the_same(groups) -> None:
    conv = ConditionalConv3d(3, 4, experts=2)
    x = torch.randn(groups, 3, 4, 4, 4)
    locations = torch.rand(groups, 3)
    other = x.contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(conv(other, locations), conv(x, locations))


def test_the_location_changes_the_kernel_and_the_batch_does_not() -> None:
    conv = ConditionalConv3d(1, 2, experts=3)
    here, there = torch.tensor([[0.5, 0.0, -1.0]]), torch.tensor([[-0.5, 0.2, 1.0]])
    x = torch.randn(4, 1, 4, 4, 4)
    assert not torch.allclose(conv(x, here), conv(x, there), atol=1e-4)
    torch.testing.assert_close(conv(x, here)[1:2], conv(x[1:2], here))


def test_gates_are_independent_sigmoids() -> None:
    conv = ConditionalConv3d(1, 1, experts=2)
    with torch.no_grad():
        conv.routing.weight.zero_()
        conv.routing.bias.copy_(torch.tensor([100.0, 0.0]))
    expected = conv.weight[0] + 0.5 * conv.weight[1]
    torch.testing.assert_close(conv.kernels(torch.zeros(1, 3))[0], expected)


@pytest.mark.parametrize(("cin", "cout", "experts"), [(8, 64, 1), (4, 32, 8)])
def test_each_expert_starts_as_an_ordinary_convolution(cin, cout, experts) -> None:
    torch.manual_seed(0)
    conv = ConditionalConv3d(cin, cout, experts=experts)
    bound = 1 / math.sqrt(27 * cin)
    for kernel in conv.weight.detach():
        assert kernel.abs().max() <= bound
        assert kernel.abs().max() > 0.98 * bound
        assert float(kernel.std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert conv.bias.abs().max() <= bound


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize(
    ("channels", "stride", "each"), [(16, 1, 4), (1, 1, 4), (16, 2, 4), (16, 1, 1)]
)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 2), (3, 2, 2), (4, 4, 4)])
def test_bf16_on_a_cpu_never_reads_memory_that_nobody_wrote(
    shape, channels, stride, each, groups
) -> None:
    """Every form: slices, columns, all experts at once, one by one and in groups."""
    conv = ConditionalConv3d(channels, 16, experts=2, stride=stride)
    for _ in range(4):
        # Freed memory full of NaN is what an uninitialised read would find.
        poison = [torch.full((n,), float("nan")) for n in (3000, 30_000, 300_000)]
        del poison
        x = torch.randn(groups * each, channels, *shape, requires_grad=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = conv(x, torch.zeros(groups, 3))
        out.float().square().sum().backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()
        assert all(p.grad.isfinite().all() for p in conv.parameters())
        conv.zero_grad()


@pytest.mark.parametrize("groups", [1, 3, 20])
@pytest.mark.parametrize("side", [1, 2, 5])
def test_a_norm_that_follows_may_be_done_with_the_kernels(groups, side) -> None:
    torch.manual_seed(0)
    conv = ConditionalConv3d(2, 3, experts=4).double()
    norm = nn.BatchNorm3d(3).double().eval()
    with torch.no_grad():
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            values.copy_(torch.rand(3) + 0.5)
        x = torch.randn(groups, 2, side, side, side, dtype=torch.double)
        where = torch.rand(groups, 3, dtype=torch.double)
        expected = norm(slow(conv, x, where))
        torch.testing.assert_close(conv(x, where, norm), expected, rtol=0, atol=1e-10)
