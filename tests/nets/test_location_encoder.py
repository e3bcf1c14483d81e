"""The encoder is the release's layer table."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scanlearn.nets.location_encoder import LocationEncoder, ProjectionHead

#: (channels, side for 32 voxels in, side for 16) after each layer.
TABLE = [
    (8, 32, 16),
    (8, 16, 8),
    (16, 16, 8),
    (16, 16, 8),
    (16, 8, 4),
    (32, 8, 4),
    (32, 8, 4),
    (32, 4, 2),
    (64, 4, 2),
    (64, 4, 2),
    (64, 2, 1),
    (128, 2, 1),
    (128, 1, 1),
]


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_parameter_counts_of_the_release() -> None:
    """T2."""
    encoder = LocationEncoder()
    assert count(encoder, nn.Linear(128, 128)) == 8_245_760
    assert count(encoder, ProjectionHead(128, 128)) == 8_262_272
    assert count(LocationEncoder(experts=1), nn.Linear(128, 128)) == 1_046_764
    kernels = sum(layer.conv.weight.numel() for layer in encoder.layers)
    assert kernels == 8_227_008
    assert sum(count(layer.conv.routing) for layer in encoder.layers) == 416


@pytest.mark.parametrize(("side", "column"), [(32, 1), (16, 2)])
def test_layers_have_the_shapes_of_the_table(side, column) -> None:
    encoder = LocationEncoder(experts=1).eval()
    shapes = []
    for layer in encoder.layers:
        layer.register_forward_hook(
            lambda _module, _inputs, out: shapes.append((out.shape[1], *out.shape[2:]))
        )
    with torch.no_grad():
        h = encoder(torch.zeros(1, 1, side, side, side), torch.zeros(1, 3))
    assert h.shape == (1, 128)
    assert (h > -1).all()  # an ELU comes last
    assert shapes == [(row[0], *[row[column]] * 3) for row in TABLE]


def test_receptive_field_and_stride() -> None:
    field, step = 1, 1
    for layer in LocationEncoder(width=1, experts=1).layers:
        field += 2 * step
        step *= layer.conv.stride
    assert (field, step) == (153, 32)


def test_maps_for_a_decoder_are_the_layers_before_each_stride() -> None:
    encoder = LocationEncoder(width=2, dim=8, experts=2).eval()
    x, where = torch.randn(2, 1, 32, 16, 48), torch.rand(2, 3)
    with torch.no_grad():
        maps = encoder.features(x, where)
        direct = x
        for layer in encoder.layers[:4]:
            direct = layer(direct, where)
    assert [m.shape[1] for m in maps] == [2, 4, 8, 16, 32]
    assert encoder.tap_channels == (2, 4, 8, 16, 32)
    assert [tuple(m.shape[2:]) for m in maps] == [
        (32 // f, 16 // f, 48 // f) for f in (1, 2, 4, 8, 16)
    ]
    torch.testing.assert_close(maps[1], direct)


def test_samples_come_location_by_location() -> None:
    encoder = LocationEncoder(width=1, dim=4, experts=2).eval()
    x, where = torch.randn(6, 1, 16, 16, 16), torch.rand(3, 3) * 2 - 1
    with torch.no_grad():
        together = encoder(x, where)
        alone = [encoder(x[n : n + 1], where[n // 2 : n // 2 + 1]) for n in range(6)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("side", "reached"), [(16, 10), (32, 12), (48, 13)])
def test_layers_are_reached_where_every_tap_gets_a_gradient(side, reached) -> None:
    """By gradients: the taps of each layer's kernels that a patch moves at all."""
    torch.manual_seed(0)
    encoder = LocationEncoder(width=2, dim=8, experts=1).train()
    encoder(
        torch.randn(3, 1, side, side, side), torch.zeros(1, 3)
    ).square().sum().backward()
    taps = []
    for layer in encoder.layers:
        (kernel,) = [p for p in layer.conv.parameters() if p.dim() > 4]
        moved = kernel.grad.abs().flatten(0, -4).amax(dim=0) > 0
        taps.append(int(moved.sum()))
    assert [n == 27 for n in taps] == [n < reached for n in range(13)]
    if side == 16:
        assert taps[-3:] == [8, 1, 1]
    assert LocationEncoder.layers_reached(side) == reached
