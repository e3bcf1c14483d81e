"""Targets, losses and decoding of centre maps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.nets.centre_map import (
    MOST_CANDIDATES,
    Cells,
    centre_loss,
    centre_targets,
    decode,
    heat_loss,
)

CELLS = Cells(stride=2, size=(5.0, 4.0, 4.0))
SHAPE = (7, 8, 9)
NAN = float("nan")


def some_objects(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor([list(rows) + [(NAN,) * 4] * (3 - len(rows))])


def slow_targets(objects: np.ndarray, shape: tuple[int, ...], cells: Cells):
    """Return heat, offsets and log sizes of one sample, cell by cell."""
    n = len(shape)
    heat = np.zeros(shape)
    offsets, sizes = np.zeros((n, *shape)), np.zeros((objects.shape[1] - n, *shape))
    unit = math.prod(cells.size) ** (1 / n)
    for place in np.ndindex(*shape):
        for row in objects:
            if np.isnan(row).any():
                continue
            centre = (row[:n] - (cells.stride - 1) / 2) / cells.stride
            far = sum(
                ((c - i) * mm) ** 2
                for c, i, mm in zip(centre, place, cells.size, strict=True)
            )
            sigma = max(np.mean(row[n:]) / 6, max(cells.size) / 2)
            warm = math.exp(-far / (2 * sigma**2))
            if all(
                math.floor(c + 0.5) == i for c, i in zip(centre, place, strict=True)
            ):
                warm = 1.0
            if warm > heat[place]:
                heat[place] = warm
                offsets[(slice(None), *place)] = centre - place
                sizes[(slice(None), *place)] = np.log(row[n:] / unit)
    return heat, offsets, sizes


@pytest.mark.parametrize(
    ("shape", "cells", "rows"),
    [
        (SHAPE, CELLS, [(6.2, 7.0, 9.1, 12.0), (8.5, 8.5, 8.5, 30.0)]),
        (SHAPE, CELLS, [(2.5, 4.5, 4.5, 5.0), (-6.0, 3.0, 3.0, 25.0)]),
        ((11, 13), Cells(4, (4.0, 4.0)), [(20.0, 17.0, 9.0, 25.0)]),
    ],
)
def test_targets_equal_those_made_cell_by_cell(shape, cells, rows):
    objects = np.array([*rows, [NAN] * len(rows[0])], np.float32)
    targets = centre_targets(torch.from_numpy(objects)[None], shape, cells)
    heat, offsets, sizes = slow_targets(objects, shape, cells)
    torch.testing.assert_close(
        targets.heat[0], torch.tensor(heat).float(), atol=1e-5, rtol=1e-4
    )
    warm = heat > 0.3
    for mine, slow in ((targets.offsets[0], offsets), (targets.sizes[0], sizes)):
        np.testing.assert_allclose(mine.numpy()[:, warm], slow[:, warm], atol=1e-4)
    np.testing.assert_allclose(
        targets.weight[0].numpy(), np.where(warm, heat, 0), atol=1e-5
    )


def test_a_scan_without_objects_has_no_targets():
    targets = centre_targets(some_objects(), SHAPE, CELLS)
    assert float(targets.heat.abs().sum() + targets.weight.abs().sum()) == 0
    losses = centre_loss(torch.zeros(1, 5, *SHAPE), targets)
    assert float(losses["offset"]) == float(losses["size"]) == 0
    assert float(losses["heat"]) > 0


@given(
    st.tuples(*[st.floats(1.0, 12.0)] * 3),
    st.floats(4.0, 40.0),
)
@settings(max_examples=40, deadline=None)
def test_decoding_perfect_maps_returns_the_object(centre, diameter):
    targets = centre_targets(some_objects((*centre, diameter)), SHAPE, CELLS)
    scores, centres, sizes = decode(
        targets.heat[0], targets.offsets[0], targets.sizes[0], CELLS, least=0.5
    )
    assert scores.tolist() == [1.0]
    np.testing.assert_allclose(centres[0], centre, atol=1e-3)
    assert float(sizes[0, 0]) == pytest.approx(diameter, rel=1e-3)


@given(st.tuples(*[st.floats(4.0, 40.0)] * 2), st.tuples(*[st.floats(3.0, 60.0)] * 2))
@settings(max_examples=40, deadline=None)
def test_decoding_perfect_maps_of_an_image_returns_the_box(middle, sizes):
    cells = Cells(4, (4.0, 4.0))
    targets = centre_targets(torch.tensor([[[*middle, *sizes]]]), (12, 12), cells)
    scores, centres, found = decode(
        targets.heat[0], targets.offsets[0], targets.sizes[0], cells, least=0.999
    )
    assert scores.tolist() == [1.0]
    np.testing.assert_allclose(centres[0], middle, atol=1e-3)
    np.testing.assert_allclose(found[0], sizes, rtol=1e-3)


def test_heat_loss_equals_the_formula_cell_by_cell():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, *SHAPE, generator=generator) * 3
    heat = torch.rand(2, *SHAPE, generator=generator)
    heat[0, 1, 2, 3] = heat[1, 0, 0, 0] = 1.0
    total = 0.0
    for x, y in zip(logits.flatten().tolist(), heat.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        if y == 1:
            total -= (1 - p) ** 2 * math.log(p)
        else:
            total -= (1 - y) ** 4 * p**2 * math.log(1 - p)
    assert float(heat_loss(logits, heat)) == pytest.approx(total / 2, rel=1e-4)


def test_only_the_wrongest_cells_of_a_sample_count():
    logits = torch.full((2, 4, 4), -2.0)
    logits[0, 0, 0], logits[0, 1, 1], logits[1, 2, 2] = 3.0, 2.0, 1.0
    heat = torch.zeros(2, 4, 4)
    p = torch.sigmoid(torch.tensor([3.0, 2.0, 1.0, -2.0]))
    each = -(p**2) * torch.log(1 - p)
    # The second sample's next wrong cell is one of its easy ones.
    expected = each.sum()
    assert float(heat_loss(logits, heat, hardest=2)) == pytest.approx(float(expected))


def test_descent_on_the_loss_finds_the_object():
    wanted = some_objects((6.2, 7.0, 9.1, 12.0), (11.0, 3.0, 12.0, 7.0))
    targets = centre_targets(wanted, SHAPE, CELLS)
    maps = torch.zeros(1, 5, *SHAPE, requires_grad=True)
    optimiser = torch.optim.Adam([maps], lr=0.2)
    for _ in range(150):
        optimiser.zero_grad()
        sum(centre_loss(maps, targets, hardest=64).values()).backward()
        optimiser.step()
    out = maps.detach()[0]
    scores, centres, sizes = decode(
        out[0].sigmoid(), out[1:4], out[4:], CELLS, least=0.5
    )
    found = torch.cat([centres, sizes], dim=1)[scores.argsort(descending=True)]
    found = found[found[:, 0].argsort()]
    np.testing.assert_allclose(found, wanted[0, :2], atol=0.2)


def test_of_very_many_findings_the_best_are_told():
    """Equal heat everywhere makes a finding of every cell."""
    heat = torch.full((64, 64), 0.3)
    heat[10, 20] = 0.4
    maps = torch.zeros(2, 64, 64)
    cells = Cells(2, (1.0, 1.0))
    scores, centres, _ = decode(heat, maps, maps, cells, least=0.1)
    assert len(scores) == len(centres) == MOST_CANDIDATES
    assert scores[0] == heat[10, 20]
    torch.testing.assert_close(centres[0], cells.to_voxels(torch.tensor([10.0, 20.0])))


def test_neighbouring_peaks_are_one_finding():
    heat = torch.zeros(8, 8)
    heat[2, 2], heat[2, 3], heat[6, 6] = 0.9, 0.8, 0.7
    scores, centres, _ = decode(
        heat,
        torch.zeros(2, 8, 8),
        torch.zeros(2, 8, 8),
        Cells(4, (4.0, 4.0)),
        least=0.1,
    )
    torch.testing.assert_close(scores, torch.tensor([0.9, 0.7]))
    torch.testing.assert_close(centres, torch.tensor([[9.5, 9.5], [25.5, 25.5]]))
