"""The dense encoder: one pass of a volume says what its windows say."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from scanlearn.nets import dense_encoder
from scanlearn.nets.dense_encoder import FIELD, STRIDE, DenseEncoder, LocationMap


def make(**sizes) -> DenseEncoder:
    """Return a small encoder with batch-norm statistics and gates that matter."""
    torch.manual_seed(0)
    sizes = {"width": 2, "dim": 6, "basis": 3, "pool": 2} | sizes
    encoder = DenseEncoder(**sizes, voxel_step=(0.02, 0.03, 0.01))
    with torch.no_grad():
        for layer in encoder.layers:
            layer.routing.weight.mul_(5)
            layer.norm.running_mean.normal_(std=0.3)
            layer.norm.running_var.uniform_(0.5, 2)
    return encoder.eval()


def turned(n: int = 1) -> LocationMap:
    """Return maps that are neither aligned nor centred."""
    generator = torch.Generator().manual_seed(1)
    axes = torch.randn(n, 3, 3, generator=generator) * 0.01
    return LocationMap(torch.rand(n, 3, generator=generator) - 0.5, axes)


def by_voxel(layer, x, places):
    """Compute a layer one output voxel at a time, from its definition, in float64."""
    first, step = layer.lattice
    size = (x.shape[-1] - 3) // layer.stride + 1
    out = torch.empty(layer.weight.shape[1], size, size, size, dtype=torch.float64)
    weight, bias = layer.weight.double(), layer.bias.double()
    for u in range(size):
        for v in range(size):
            for w in range(size):
                at = torch.tensor([u, v, w], dtype=torch.float64)
                index = first + step * at
                p = places.origin[0].double() + places.axes[0].double() @ index
                logits = layer.routing.weight.double() @ p + layer.routing.bias.double()
                kernel = torch.einsum("b,boixyz->oixyz", logits.sigmoid(), weight)
                a, b, c = (int(i) * layer.stride for i in at)
                part = x[:, a : a + 3, b : b + 3, c : c + 3]
                out[:, u, v, w] = torch.einsum("oixyz,ixyz->o", kernel, part) + bias
    norm = layer.norm
    view = (slice(None), None, None, None)
    out = (out - norm.running_mean.double()[view]) / torch.sqrt(
        norm.running_var.double()[view] + norm.eps
    )
    out = out * norm.weight.double()[view] + norm.bias.double()[view]
    return F.elu(out)


def test_layers_are_what_they_say() -> None:
    encoder, places = make(), turned()
    with torch.no_grad():
        for layer in encoder.layers:
            x = torch.randn(layer.weight.shape[2], 7, 7, 7)
            expected = by_voxel(layer, x.double(), places)
            found = layer(x[None], places)[0].double()
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pool", [1, 2, 4])
def test_a_whole_volume_equals_its_windows(pool, monkeypatch) -> None:
    encoder, places = make(pool=pool), turned()
    side = encoder.window
    shape = (side + 27, side + 9, side + 16)
    volume = torch.randn(shape)
    # Slabs of two rows of cells, so that their borders are crossed.
    numbers = 2 * encoder._numbers_a_row(volume)
    monkeypatch.setattr(dense_encoder, "_SLAB_NUMBERS", numbers)
    whole = encoder.feature_map(volume, places)
    assert whole.shape == (6, 4, 2, 3)
    with torch.no_grad():
        for i in range(4):
            for j in range(2):
                for k in range(3):
                    a, b, c = (STRIDE * n for n in (i, j, k))
                    window = volume[a : a + side, b : b + side, c : c + side]
                    middle = torch.tensor([a, b, c]) + (side - 1) / 2
                    centre = places.origin + places.axes @ middle
                    alone = encoder(window[None, None], centre, places.axes)
                    assert (alone[0] - whole[:, i, j, k]).abs().max() < 1e-5
    # The windows differ by what is in them and by where they are.
    assert whole.flatten(1).std(dim=1).min() > 1e-3
    same = encoder.feature_map(torch.zeros(shape), places)
    assert same.flatten(1).std(dim=1).max() > 1e-4


def test_the_receptive_field_and_the_window() -> None:
    field, step = 1, 1
    for layer in make().layers:
        field += 2 * step
        step *= layer.stride
    assert (field, step) == (FIELD, STRIDE) == (31, 8)
    assert make(pool=4).window == 55
    assert make(pool=2).window == 39


def test_nothing_beyond_the_window_is_seen_and_all_of_it_is() -> None:
    encoder, places = make(pool=2), turned()
    side = encoder.window
    volume = torch.randn(side + 8, side, side).requires_grad_()
    x = volume[None, None, :side]
    encoder(x, places.origin, places.axes).sum().backward()
    reached = volume.grad != 0
    assert reached[:side].all()
    assert not reached[side:].any()


def test_windows_come_location_by_location() -> None:
    encoder = make()
    side = encoder.window
    x, where = torch.randn(6, 1, side, side, side), torch.rand(3, 3) * 2 - 1
    with torch.no_grad():
        together = encoder(x, where)
        alone = [encoder(x[n : n + 1], where[n // 2 : n // 2 + 1]) for n in range(6)]
        elsewhere = encoder(x, where.flip(0))
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert (together - elsewhere).abs().max() > 1e-3


def test_every_weight_learns_also_in_bf16() -> None:
    encoder = make().train()
    side = encoder.window
    x, where = torch.randn(4, 1, side, side, side), torch.rand(2, 3)
    gradients = []
    for fast in (False, True):
        encoder.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            loss = encoder(x, where).float().square().sum()
        loss.backward()
        gradients.append([p.grad.clone() for p in encoder.parameters()])
    for name, exact, rounded in zip(
        dict(encoder.named_parameters()), *gradients, strict=True
    ):
        assert exact.isfinite().all()
        if name.endswith("norm.weight") or name.endswith("layers.3.weight"):
            assert exact.abs().max() > 0
            error = (exact - rounded).norm() / exact.norm()
            assert error < 0.1, name
