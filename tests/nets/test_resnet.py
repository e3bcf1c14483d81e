"""Residual networks against their definition, written out layer by layer."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from scanlearn.nets.resnet import ResNet, pooled_stages


def plain(weights: dict[str, torch.Tensor], x: torch.Tensor, blocks, bottleneck):
    """Walk through a torchvision state dict with nothing but its names."""

    def norm(x, name):
        get = [weights[f"{name}.{n}"] for n in ("running_mean", "running_var")]
        return F.batch_norm(x, *get, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def conv(x, name, stride, padding):
        return F.conv2d(
            x, weights[f"{name}.weight"], None, stride=stride, padding=padding
        )

    x = F.relu(norm(conv(x, "conv1", 2, 3), "bn1"))
    x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    maps = []
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            if bottleneck:
                y = F.relu(norm(conv(x, f"{at}.conv1", 1, 0), f"{at}.bn1"))
                y = F.relu(norm(conv(y, f"{at}.conv2", stride, 1), f"{at}.bn2"))
                y = norm(conv(y, f"{at}.conv3", 1, 0), f"{at}.bn3")
            else:
                y = F.relu(norm(conv(x, f"{at}.conv1", stride, 1), f"{at}.bn1"))
                y = norm(conv(y, f"{at}.conv2", 1, 1), f"{at}.bn2")
            if f"{at}.downsample.0.weight" in weights:
                x = norm(conv(x, f"{at}.downsample.0", stride, 0), f"{at}.downsample.1")
            x = F.relu(x + y)
        maps.append(x)
    return maps


@pytest.mark.parametrize(
    ("architecture", "blocks", "bottleneck", "parameters"),
    [
        ("resnet18", (2, 2, 2, 2), False, 11_176_512),
        ("resnet50", (3, 4, 6, 3), True, 23_508_032),
    ],
)
def test_numbers_and_names_are_torchvisions(
    architecture, blocks, bottleneck, parameters
) -> None:
    full = ResNet(architecture, channels=3)
    assert sum(p.numel() for p in full.parameters()) == parameters
    torch.manual_seed(0)
    net = ResNet(architecture, width=4, channels=3).train()
    x = torch.randn(2, 3, 40, 33)
    with torch.no_grad():
        net(x)  # statistics of its own
        found = net.eval()(x)
    expected = plain(net.state_dict(), x, blocks, bottleneck)
    assert net.dims == tuple(m.shape[1] for m in found)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_the_small_one_has_a_third_of_a_million_weights() -> None:
    net = ResNet("small", width=16)
    assert net.dims == (16, 32, 64, 128)
    assert 0.29e6 < sum(p.numel() for p in net.parameters()) < 0.33e6
    assert [m.shape[-1] for m in net(torch.zeros(2, 1, 48, 48))] == [24, 12, 6, 3]


def test_a_grey_stem_equals_the_colour_stem_on_a_grey_image() -> None:
    """Acceptance 10: all trunk tensors load by name, the stem summed over colours."""
    torch.manual_seed(0)
    colour, grey = ResNet("resnet18", width=4, channels=3), ResNet("resnet18", width=4)
    weights = colour.state_dict()
    weights["conv1.weight"] = weights["conv1.weight"].sum(dim=1, keepdim=True)
    grey.load_state_dict(weights)
    x = torch.randn(2, 1, 32, 32)
    for mine, theirs in zip(
        grey.eval()(x), colour.eval()(x.expand(-1, 3, -1, -1)), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_pooled_stages_have_length_one_each() -> None:
    """Acceptance 1: the squared length is the number of joined stages."""
    torch.manual_seed(0)
    maps = [torch.rand(3, c, s, s) + 0.1 for c, s in ((4, 8), (8, 4), (16, 2), (32, 1))]
    u = pooled_stages(maps)
    assert u.shape == (3, 60)
    torch.testing.assert_close(u.square().sum(dim=1), torch.full((3,), 4.0))
    by_hand = maps[1][2].mean(dim=(1, 2))
    torch.testing.assert_close(u[2, 4:12], by_hand / by_hand.norm())


def test_few_channels_are_trained_on_several_threads() -> None:
    """The process of a training with a narrow trunk ends by itself, not by a signal."""
    script = """
import torch
from scanlearn.nets.resnet import ResNet
torch.set_num_threads(2)
net = ResNet("small", width=8).to(memory_format=torch.channels_last)
for _ in range(20):
    x = torch.randn(3, 1, 32, 32).contiguous(memory_format=torch.channels_last)
    sum(m.square().mean() for m in net(x)).backward()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0
