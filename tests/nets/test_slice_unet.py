"""The U-Net of slices: its shapes, and what reaches what."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from scanlearn.nets.resnet import ResNet
from scanlearn.nets.slice_detector import SliceDetector
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.nets.slice_transformer import SliceTransformer
from scanlearn.nets.slice_unet import SliceUNet


def unet(architecture="small", *, context=False, **more) -> SliceUNet:
    torch.manual_seed(0)
    transformer = SliceTransformer(
        8, layers=1, heads=2, head_width=4, hidden=8, stride=2, kernel=4, dropout=0.0
    )
    encoder = SliceEncoder(ResNet(architecture, width=8), transformer, dim=8)
    return SliceUNet(encoder, classes=3, context=context, **more)


@pytest.mark.parametrize("architecture", ["small", "resnet18", "resnet50"])
@pytest.mark.parametrize("context", [False, True])
def test_every_pixel_of_every_slice_has_its_scores(architecture, context) -> None:
    net = unet(architecture, context=context)
    scores = net(torch.randn(2, 3, 64, 64))
    assert scores.shape == (2, 3, 3, 64, 64)
    scores.square().mean().backward()
    used = {n for n, p in net.named_parameters() if p.grad is not None}
    assert {n for n, _ in net.named_parameters() if n.startswith("stages")} <= used
    told = {n for n in used if "transformer" in n or n.startswith("context")}
    assert bool(told) == context


@pytest.mark.parametrize("architecture", ["small", "resnet18"])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_scores_between_decoded_pixels_are_interpolated(architecture, stride) -> None:
    coarse = unet(architecture, stride=stride).eval()
    full = unet(architecture, stride=stride, full=True).eval()
    full.load_state_dict(coarse.state_dict())
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        cells, pixels = coarse(x), full(x)
    assert cells.shape == (2, 3, 3, 64 // stride, 96 // stride)
    assert pixels.shape == (2, 3, 3, 64, 96)
    for batch, slice_number in ((0, 2), (1, 0)):
        expected = F.interpolate(
            cells[batch, :, slice_number][None], (64, 96), mode="bilinear"
        )[0]
        torch.testing.assert_close(pixels[batch, :, slice_number], expected)


def test_slices_know_of_each_other_by_context_alone() -> None:
    x = torch.randn(1, 4, 32, 32)
    other = x.clone()
    other[0, 3] += 1
    for context in (False, True):
        net = unet(context=context).eval()
        with torch.no_grad():
            change = (net(other) - net(x)).abs().amax(dim=(0, 1, 3, 4))
        assert change[3] > 1e-3
        assert bool((change[:3] > 0).all()) == context


@pytest.mark.parametrize("architecture", ["small", "resnet18"])
@pytest.mark.parametrize("stride", [2, 4])
def test_a_detector_maps_cells_of_its_stride(architecture, stride) -> None:
    detector = SliceDetector(unet(architecture).encoder, stride=stride)
    maps = detector(torch.randn(2, 1, 64, 96))
    assert maps.shape == (2, 5, 64 // stride, 96 // stride)
    maps.square().mean().backward()
    parts = (detector.unet.stages, detector.head, detector.encoder.trunk)
    for part in parts:
        assert all(p.grad is not None for p in part.parameters())
    # At the start nearly all is background.
    with torch.no_grad():
        heat = detector.eval()(torch.zeros(1, 1, 64, 64))[0, 0].sigmoid()
    assert float(heat.mean()) < 0.1
