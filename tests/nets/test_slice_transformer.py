"""Deformable attention along slices, and the slices that are hidden from it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.nets.deformable_attention import (
    DeformableAttention,
    gather_linear,
    sampled_positions,
)
from scanlearn.nets.slice_transformer import (
    HiddenSlices,
    SliceTransformer,
    copied_loss,
    guessed_loss,
    hidden_loss,
    hidden_slices,
    holistic,
    slice_positions,
)

SIZES = {"heads": 2, "head_width": 8, "stride": 2, "kernel": 4}


def attention(dim: int = 16, **changes) -> DeformableAttention:
    torch.manual_seed(0)
    made = DeformableAttention(dim, **{**SIZES, **changes})
    with torch.no_grad():
        made.offset_value.weight.mul_(20)  # offsets that are seen
    return made.eval()


def transformer(**changes) -> SliceTransformer:
    torch.manual_seed(0)
    options = {"layers": 2, "hidden": 24, "dropout": 0.0, **SIZES, **changes}
    return SliceTransformer(16, **options).eval()


@given(
    size=st.integers(2, 40),
    points=st.integers(2, 12),
    seed=st.integers(0, 99),
)
def test_a_ramp_is_reproduced(size, points, seed) -> None:
    """Acceptance 2: with offsets or without, the value of a ramp is the position."""
    lengths, samples = torch.tensor([size]), torch.tensor([points])
    ramp = torch.arange(size, dtype=torch.float64).view(1, 1, 1, -1)
    zero = sampled_positions(torch.zeros(1, 1, points).double(), lengths, samples)
    even = torch.linspace(0, size - 1, points, dtype=torch.float64)
    torch.testing.assert_close(gather_linear(ramp, zero)[0, 0, 0], even)
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.rand(1, 1, points, generator=generator).double() * 4 - 2
    where = sampled_positions(offsets, lengths, samples)
    expected = torch.arange(points) + offsets[0, 0]
    expected = (expected / (points - 1) * (size - 1)).clamp(0, size - 1)
    torch.testing.assert_close(gather_linear(ramp, where)[0, 0, 0], expected)


def by_hand(layer: DeformableAttention, x: torch.Tensor) -> torch.Tensor:
    """One sequence (L, dim), loop by loop in double precision."""
    weights = {name: p.detach().double() for name, p in layer.named_parameters()}
    length, dim = x.shape
    heads, share = layer.heads, dim // layer.heads
    result = []
    for h in range(heads):
        mine = slice(h * 8, h * 8 + 8)
        own = x[:, h * share : (h + 1) * share].double()
        q = own @ weights["queries.weight"][mine, :, 0].T
        pad = (layer.kernel - layer.stride) // 2
        padded = torch.zeros(length + 2 * pad, 8).double()
        padded[pad : pad + length] = q
        count = (length + 2 * pad - layer.kernel) // layer.stride + 1
        picked, places = [], []
        for m in range(count):
            window = padded[m * layer.stride : m * layer.stride + layer.kernel]
            inner = (window * weights["offset_window.weight"][:, 0].T).sum(dim=0)
            inner = torch.nn.functional.gelu(inner + weights["offset_window.bias"])
            value = (inner * weights["offset_value.weight"][0, :, 0]).sum()
            place = (m + layer.reach * math.tanh(value)) / (count - 1) * (length - 1)
            place = min(max(place, 0.0), length - 1.0)
            columns = own.numpy()
            picked.append([np.interp(place, np.arange(length), c) for c in columns.T])
            places.append(place)
        found = torch.tensor(np.array(picked))
        k = found @ weights["keys.weight"][mine, :, 0].T
        v = found @ weights["values.weight"][mine, :, 0].T
        rows = []
        for i in range(length):
            scores = []
            for m, place in enumerate(places):
                d = (i - place) / ((length - 1) / 2)
                d = math.copysign(math.log1p(abs(d)), d)
                bias = torch.tensor([d]).double()
                for n in (0, 2, 4):
                    bias = weights[f"bias.{n}.weight"] @ bias
                    bias = bias + weights[f"bias.{n}.bias"]
                    bias = bias.relu() if n < 4 else bias
                scores.append(float(q[i] @ k[m] / math.sqrt(8) + bias))
            weight = torch.softmax(torch.tensor(scores).double(), dim=0)
            rows.append(weight @ v)
        result.append(torch.stack(rows))
    joined = torch.cat(result, dim=1)
    return joined @ weights["out.weight"][:, :, 0].T + weights["out.bias"]


def test_attention_is_its_formula() -> None:
    layer, x = attention(), torch.randn(1, 9, 16)
    with torch.no_grad():
        found = layer(x, torch.tensor([9]))[0]
    torch.testing.assert_close(found.double(), by_hand(layer, x[0]), atol=1e-5, rtol=0)


def test_offsets_are_bounded_and_trained() -> None:
    """Acceptance 4."""
    layer = attention(reach=1.5)
    x = (5 * torch.randn(2, 12, 16)).requires_grad_()
    offsets = layer.offsets(layer.queries(x.transpose(1, 2)))
    assert offsets.shape == (2, 2, 6)
    assert 0.1 < float(offsets.abs().max().detach()) <= 1.5
    layer(x, torch.tensor([12, 12])).square().sum().backward()
    for part in (layer.offset_window, layer.offset_value):
        assert part.weight.grad.abs().max() > 0


def test_every_slice_may_reach_every_other() -> None:
    """Acceptance 3: attention runs along the slices, not along the embedding."""
    layer = attention(dim=64)
    x = torch.randn(1, 8, 64)
    assert layer.samples(torch.tensor([8])).tolist() == [4]
    changed = x.clone()
    changed[0, 4] += 3
    moved = (layer(changed, torch.tensor([8])) - layer(x, torch.tensor([8]))).detach()
    assert (moved.abs().amax(dim=2) > 1e-6).all()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_padding_changes_nothing(size) -> None:
    net, tokens = transformer(), torch.randn(1, size, 16)
    alone = net(tokens, torch.tensor([size]))
    padded = torch.cat([tokens, 9 * torch.ones(1, 4, 16)], dim=1)
    other = torch.randn(1, size + 4, 16)
    lengths = torch.tensor([size, size + 4])
    together = net(torch.cat([padded, other]), lengths)
    torch.testing.assert_close(together[0, :size], alone[0], atol=1e-5, rtol=1e-4)
    z = holistic(together, lengths)
    torch.testing.assert_close(z[0], holistic(alone, lengths[:1])[0])
    torch.testing.assert_close(z.norm(dim=1), torch.ones(2))  # acceptance 1


def test_order_matters_where_positions_are_told() -> None:
    """Acceptance 3: permuting slices changes the holistic feature."""
    net, tokens, lengths = transformer(), torch.randn(1, 8, 16), torch.tensor([8])
    z = holistic(net(tokens, lengths), lengths)
    turned = holistic(net(tokens.flip(1), lengths), lengths)
    assert (z - turned).abs().max() > 1e-3
    codes = slice_positions(torch.tensor([3, 5]), 5, 16)
    torch.testing.assert_close(codes[0, 2], codes[1, 4])  # both are last
    torch.testing.assert_close(codes.norm(dim=2), torch.ones(2, 5))


@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    share=st.sampled_from([0.1, 0.25, 0.9]),
    seed=st.integers(0, 9),
)
def test_exactly_the_share_is_hidden(lengths, share, seed) -> None:
    """Acceptance 8."""
    sizes = torch.tensor(lengths)
    hidden = hidden_slices(
        sizes, 20, share=share, generator=torch.Generator().manual_seed(seed)
    )
    for row, n in zip(hidden, lengths, strict=True):
        wanted = min(math.ceil(round(share * n, 9)), max(1, n - 1))
        assert int(row.sum()) == wanted
        assert not row[n:].any()


def test_only_hidden_slices_count() -> None:
    """Acceptance 8: the loss does not see what was not hidden."""
    predicted, tokens = torch.randn(2, 6, 4), torch.randn(2, 6, 4, requires_grad=True)
    hidden = torch.zeros(2, 6, dtype=torch.bool)
    hidden[0, 2] = hidden[1, 5] = True
    loss = hidden_loss(predicted, tokens, hidden)
    cosines = [
        torch.cosine_similarity(predicted[b, n], tokens[b, n].detach(), dim=0)
        for b, n in ((0, 2), (1, 5))
    ]
    wanted = 2 - (cosines[0] + cosines[1])
    torch.testing.assert_close(loss, wanted)
    assert not loss.requires_grad
    other = tokens.detach().clone()
    other[0, 0] += 100
    torch.testing.assert_close(hidden_loss(predicted, other, hidden), loss)


def test_a_hidden_token_is_replaced_and_a_copy_is_its_neighbour() -> None:
    parts, tokens = HiddenSlices(4), torch.randn(1, 5, 4)
    hidden = torch.tensor([[False, True, True, False, False]])
    shown = parts.hide(tokens, hidden)
    assert torch.equal(shown[0, 1], parts.token)
    assert torch.equal(shown[0, 3], tokens[0, 3])
    unit = tokens[0] / tokens[0].norm(dim=1, keepdim=True)
    wanted = (
        (unit[0] - unit[1]).square().sum() + (unit[3] - unit[2]).square().sum()
    ) / 2
    torch.testing.assert_close(copied_loss(tokens, hidden, torch.tensor([5])), wanted)
    # Whoever guesses says the mean of the slices seen, here one after the other.
    mean = (tokens[0, 0] + tokens[0, 3] + tokens[0, 4]) / 3
    apart = (unit[1:3] - mean / mean.norm()).square().sum(dim=1).mean()
    guessed = guessed_loss(tokens, hidden, torch.tensor([5]))
    torch.testing.assert_close(guessed, apart)


def test_the_one_slice_that_matters_is_found() -> None:
    """The class of a volume is written on one slice, at a place of its own."""
    torch.manual_seed(0)
    net = SliceTransformer(16, layers=1, hidden=24, dropout=0.0, **SIZES)
    head = torch.nn.Linear(16, 2)
    optimiser = torch.optim.AdamW([*net.parameters(), *head.parameters()], lr=5e-3)
    signs = torch.randn(2, 16)

    def volumes(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        g = torch.Generator().manual_seed(seed)
        x = 0.3 * torch.randn(n, 10, 16, generator=g)
        labels = torch.randint(2, (n,), generator=g)
        x[torch.arange(n), torch.randint(10, (n,), generator=g)] = 2 * signs[labels]
        return x, labels

    for step in range(120):
        x, labels = volumes(32, step)
        scores = head(holistic(net(x, torch.full((32,), 10)), torch.full((32,), 10)))
        loss = torch.nn.functional.cross_entropy(scores * 4, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, labels = volumes(200, 10_000)
    with torch.no_grad():
        n = torch.full((200,), 10)
        right = head(holistic(net(x, n), n)).argmax(dim=1) == labels
    assert float(right.float().mean()) > 0.85
