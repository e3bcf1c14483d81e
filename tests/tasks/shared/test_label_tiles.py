from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scanlearn.anatomy.frames import Frame
from scanlearn.encoders.patch_places import tile_box
from scanlearn.nets.segmentation_loss import IGNORE
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.shared.label_tiles import (
    LabelledScan,
    TileSampler,
    cut_labels,
    pool_labels,
)

CLASSES = 4
label_maps = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7)),
    elements=st.sampled_from([0, 1, 2, 3, IGNORE]),
)


@given(labels=label_maps, factor=st.integers(1, 3))
def test_a_block_becomes_its_commonest_labelled_class(labels, factor):
    pooled = pool_labels(labels, factor, CLASSES)
    assert pooled.dtype == np.uint8
    assert pooled.shape == tuple(size // factor for size in labels.shape)
    for index in np.ndindex(*pooled.shape):
        block = labels[tuple(slice(i * factor, (i + 1) * factor) for i in index)]
        votes = Counter(block[block != IGNORE].tolist())
        if votes:
            most = max(votes.values())
            # Of equals the first wins, so that pooling is the same everywhere.
            expected = min(value for value, n in votes.items() if n == most)
        else:
            expected = IGNORE
        assert pooled[index] == expected


def test_one_painted_slice_survives_pooling():
    labels = np.full((8, 8, 8), IGNORE, np.uint8)
    labels[3] = 0
    labels[3, 2:6, 2:6] = 2
    pooled = pool_labels(labels, 4, CLASSES)
    assert pooled[0].tolist() == [[0, 0], [0, 0]] or (pooled[0] != IGNORE).all()
    assert (pooled[1] == IGNORE).all()


@settings(max_examples=60)
@given(
    labels=label_maps,
    start=st.tuples(*[st.integers(-9, 9)] * 3),
    side=st.integers(1, 6),
)
def test_a_tile_beyond_the_border_is_unlabelled(labels, start, side):
    wide = np.pad(labels, 20, constant_values=IGNORE)
    corner = np.add(start, 20)
    expected = wide[tuple(slice(int(a), int(a) + side) for a in corner)]
    assert np.array_equal(cut_labels(labels, np.array(start), side), expected)


def test_cutting_copies():
    labels = np.zeros((4, 4, 4), np.uint8)
    cut_labels(labels, np.array([0, 0, 0]), 2)[:] = 3
    assert not labels.any()


@pytest.fixture
def scans():
    """Return three scans: two classes, one class, background only."""
    rng = np.random.default_rng(0)
    maps = [np.full((40, 44, 48), IGNORE, np.uint8) for _ in range(3)]
    maps[0][20] = 0
    maps[0][20, 5:9, 40:44] = 1
    maps[0][20, 30:40, 3:9] = 2
    maps[1][:, 10] = rng.integers(0, 2, (40, 48)) * 2
    maps[2][:5] = 0
    return [LabelledScan(n, f"P-{n}", labels) for n, labels in enumerate(maps)]


def test_every_tile_holds_a_labelled_voxel(scans):
    sampler = TileSampler(scans, tile=16, foreground=0.5)
    rng = np.random.default_rng(1)
    seen = Counter()
    for _ in range(300):
        index, start = sampler.sample(rng)
        seen[index] += 1
        tile = cut_labels(scans[index].labels, start, 16)
        assert (tile != IGNORE).any()
    assert set(seen) == {0, 1, 2}


def test_foreground_tiles_hold_their_class_in_the_middle(scans):
    sampler = TileSampler(scans, tile=16, foreground=1.0)
    rng = np.random.default_rng(2)
    for _ in range(200):
        index, start = sampler.sample(rng)
        # Chosen voxels lie up to a quarter of the tile from its middle, but where the
        # border of the scan keeps the tile inside.
        shape = np.array(scans[index].labels.shape)
        low = np.where(start == 0, 0, start + 4)
        high = np.where(start == shape - 16, shape, start + 13)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        middle = scans[index].labels[box]
        assert ((middle > 0) & (middle != IGNORE)).any()


@given(
    shape=st.tuples(*[st.integers(3, 30)] * 3),
    seed=st.integers(0, 1000),
)
def test_tiles_lie_inside_their_scan_or_begin_with_it(shape, seed):
    labels = np.zeros(shape, np.uint8)
    labels[-1, 0, -1] = 1
    sampler = TileSampler([LabelledScan(0, "P-0", labels)], tile=8, foreground=0.5)
    _, start = sampler.sample(np.random.default_rng(seed))
    assert (start >= 0).all()
    assert (start + 8 <= np.maximum(shape, 8)).all()


def test_the_share_of_foreground_tiles_is_kept():
    labels = np.zeros((64, 64, 64), np.uint8)
    labels[:2, :2, :2] = 1
    scans = [LabelledScan(0, "P-0", labels)]
    rng = np.random.default_rng(3)
    sampler = TileSampler(scans, tile=16, foreground=0.3)
    tiles = [cut_labels(labels, sampler.sample(rng)[1], 16) for _ in range(600)]
    share = np.mean([(tile == 1).any() for tile in tiles])
    assert share == pytest.approx(0.3, abs=0.08)


def test_classes_take_turns_however_rare():
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[:, :20] = 1
    labels[39, 39, 39] = 2
    sampler = TileSampler([LabelledScan(0, "P-0", labels)], tile=8, foreground=1.0)
    rng = np.random.default_rng(4)
    tiles = [cut_labels(labels, sampler.sample(rng)[1], 8) for _ in range(200)]
    assert np.mean([(tile == 2).any() for tile in tiles]) > 0.35


def test_without_any_class_the_background_is_sampled():
    labels = np.full((10, 10, 10), IGNORE, np.uint8)
    labels[4, 4, 4] = 0
    sampler = TileSampler([LabelledScan(0, "P-0", labels)], tile=8, foreground=1.0)
    _, start = sampler.sample(np.random.default_rng(5))
    assert (cut_labels(labels, start, 8) == 0).sum() == 1


def test_equal_generators_give_equal_tiles(scans):
    sampler = TileSampler(scans, tile=16, foreground=0.5)
    index, start = sampler.sample(np.random.default_rng(6))
    again, same = sampler.sample(np.random.default_rng(6))
    assert index == again
    assert np.array_equal(start, same)


def test_the_box_of_a_tile_is_that_of_its_corner_voxels():
    # Array axes (S, P, L) of 2 mm: x grows with k, y with j, z with i.
    affine = np.array([[0, 0, 2, -50], [0, 2, 0, -60], [2, 0, 0, 100], [0, 0, 0, 1.0]])
    grid = Grid((60, 50, 40), affine)
    frame = Frame((-40, -50, 100), (40, 30, 220), "lungs")
    box = tile_box(grid, frame, (10, 20, 5), 16)
    first = (-50 + 2 * 5, -60 + 2 * 20, 100 + 2 * 10)
    last = (-50 + 2 * 20, -60 + 2 * 35, 100 + 2 * 25)
    expected = [
        [(p - a) / (b - a) * 2 - 1 for p, a, b in zip(x, frame.low, frame.high)]  # noqa: B905
        for x in (first, last)
    ]
    assert box.dtype == np.float32
    assert np.allclose(box, expected, atol=1e-6)
    assert np.allclose(box[0], [-1, 0.5 - 1.25 + 0.5, -2 / 3], atol=1e-6)
