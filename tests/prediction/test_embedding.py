"""Embeddings equal a plain loop over patches, wherever the patches come from."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cohort.atlas.atlas_on_scans import place_scan
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.encoders.encoder_file import load_encoder
from scanlearn.errors import BadCohort, BadConfig, BadScan
from scanlearn.prediction.representation.embedding import (
    Embedder,
    ScanVectors,
    _by_location,
)
from scanlearn.prediction.representation.embedding_file import embed
from scanlearn.runs.events import Message, Step


def one_by_one(run, patches, locations):
    """Encode HU patches in a plain loop, normalised as the method specifies."""
    encoder, _ = load_encoder(run.path)
    rows = []
    for patch, location in zip(patches, locations, strict=True):
        x = (np.clip(patch.astype(np.float64), -1024, 240) + 1024) / 632 - 1
        with torch.no_grad():
            h = encoder(
                torch.from_numpy(x).float()[None, None],
                torch.from_numpy(np.asarray(location, np.float32))[None],
            )
        rows.append(h[0].numpy())
    return np.stack(rows)


def patches_of(cohort, key, card):
    """Cut the patches of a scan by nearest voxels, without the project's readers."""
    record = cohort.record(key)
    voxels, side = np.asarray(cohort.voxels(key)), card.patch_voxels
    cohorts = WorkingCohorts([cohort.path], None)
    (scan,) = (one for one in cohorts.scans if one.key == key)
    atlas = Atlas.from_dict(card.atlas)
    placed = place_scan(cohorts, scan, atlas)
    found, centres = [], []
    for location in np.array(card.atlas["landmarks"]):
        inner = np.array(atlas.size_mm) / 2 * location
        point = placed.matrix[:3, :3] @ inner + placed.matrix[:3, 3]
        index = np.linalg.solve(
            np.array(record.affine)[:3, :3], point - np.array(record.affine)[:3, 3]
        )
        start = np.rint(index - (side - 1) / 2).astype(int)
        padded = np.pad(voxels, side, constant_values=-1024)
        a, b, c = start + side
        found.append(padded[a : a + side, b : b + side, c : c + side])
        centres.append(point)
    return np.stack(found), np.stack(centres)


def test_patches_of_a_cohort_equal_a_plain_loop(encoder_run, tiny_cohort) -> None:
    cohort = Cohort(tiny_cohort)
    _, card = load_encoder(encoder_run.path)
    found = embed(encoder_run, tiny_cohort, level="patch")
    assert found.ids.tolist() == np.repeat(cohort.keys(), 5).tolist()
    assert found.more["patients"][7] == cohort.record(cohort.keys()[1]).patient
    assert found.more["landmarks"].tolist() == [0, 1, 2, 3, 4] * 4
    assert found.vectors.dtype == np.float32
    for number, key in enumerate(cohort.keys()):
        patches, centres = patches_of(cohort, key, card)
        rows = slice(5 * number, 5 * number + 5)
        expected = one_by_one(encoder_run, patches, card.atlas["landmarks"])
        np.testing.assert_allclose(found.vectors[rows], expected, atol=1e-5)
        np.testing.assert_allclose(found.more["positions"][rows], centres, atol=1e-4)
    assert np.ptp(found.vectors, axis=0).min() > 1e-4


def test_given_patches_equal_a_plain_loop(encoder_run, tmp_path) -> None:
    rng = np.random.default_rng(0)
    # Several patches a location, in no order, and two locations of their own.
    places = rng.uniform(-1, 1, (4, 3))
    locations = np.concatenate([places[rng.integers(0, 4, 9)], [[9, 0, 0], [0, 0, 0]]])
    patches = rng.integers(-1200, 400, (11, 16, 16, 16)).astype(np.int16)
    np.savez(tmp_path / "some.npz", patches=patches, locations=locations)
    told = []
    found = embed(encoder_run, tmp_path / "some.npz", tell=told.append)
    expected = one_by_one(encoder_run, patches, locations)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)
    assert found.ids.tolist() == list(range(11))
    steps = [event for event in told if isinstance(event, Step)]
    assert steps[-1].step == 11
    assert not [event for event in told if isinstance(event, Message)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=200))
def test_every_patch_is_in_one_batch_of_its_location(numbers) -> None:
    locations = np.array(numbers)[:, None] * np.array([0.1, -0.2, 0.3])
    seen = []
    for rows in _by_location(locations):
        assert rows.size <= 64
        assert (locations[rows] == locations[rows[:, :1]]).all()
        seen += rows.ravel().tolist()
    assert sorted(seen) == list(range(len(numbers)))


def test_larger_patches_are_embedded_with_a_word(encoder_run, tmp_path) -> None:
    patches = np.full((2, 32, 32, 32), -800.0)
    np.savez(tmp_path / "p.npz", patches=patches, locations=np.zeros((2, 3)))
    told = []
    found = embed(encoder_run, tmp_path / "p.npz", level="patch", tell=told.append)
    assert found.vectors.shape == (2, 8)
    (message,) = [event for event in told if isinstance(event, Message)]
    assert "patches of 16 voxels, these have 32" in message.text


def test_a_file_gives_what_its_cohort_gives(
    encoder_run, tiny_cohort, tiny_sample
) -> None:
    source = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    sources = Cohort(tiny_cohort).sources()
    (key,) = [k for k, s in sources.items() if s.path.endswith(source.name)]
    ours = embed(encoder_run, source, pool="lungs")
    theirs = embed(encoder_run, tiny_cohort, pool="lungs")
    assert ours.ids.tolist() == ["PHANTOM-0002"]
    assert ours.vectors.shape == (1, 16)
    expected = theirs.vectors[theirs.ids == key]
    np.testing.assert_allclose(ours.vectors, expected, atol=1e-4)


def test_missing_slices_are_filled_in_only_by_choice(
    encoder_run, write_ct, tmp_path
) -> None:
    gap = write_ct(tmp_path / "g", "g", heights=np.delete(np.arange(30) * 5.0, [11]))
    told = []
    with pytest.raises(BadScan, match="1 slice is missing"):
        embed(encoder_run, gap, tell=told.append)
    found = embed(encoder_run, gap, on_uneven="resample", tell=told.append)
    assert found.vectors.shape[0] == 1
    texts = [event.text for event in told if isinstance(event, Message)]
    assert any("1 slice is missing" in text for text in texts)


def test_pooling_by_hand() -> None:
    vectors = np.array([[0.0, 2.0], [4.0, 2.0], [100.0, 100.0]], np.float32)
    row = ScanVectors("k", "p", vectors, np.zeros((3, 3)), np.array([0.25, 0.75, 0.0]))
    np.testing.assert_allclose(row.pooled("mean"), [104 / 3, 104 / 3])
    # Mean 3; variance 0.25 * 9 + 0.75 * 1 = 3.
    np.testing.assert_allclose(row.pooled("lungs"), [3, 2, np.sqrt(3), 0])
    none = ScanVectors("k", "p", vectors, np.zeros((3, 3)), np.zeros(3))
    np.testing.assert_allclose(none.pooled("lungs")[:2], row.pooled("mean"))


def test_lung_share_is_the_mask_in_the_cube(encoder_run, tiny_cohort) -> None:
    cohort, embedder = Cohort(tiny_cohort), Embedder(encoder_run.path)
    found = embed(encoder_run, tiny_cohort, level="patch")
    mask, grid = cohort.lungs(cohort.keys()[0])
    for row in range(5):
        centre = found.more["positions"][row]
        index = np.argwhere(mask > 0)
        points = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
        inside = (np.abs(points - centre) <= embedder.patch_mm / 2).all(axis=1).sum()
        share = inside / (embedder.patch_mm / 2) ** 3  # 2 mm voxels
        assert found.more["lung_share"][row] == pytest.approx(share, abs=0.06)
    assert np.ptp(found.more["lung_share"]) > 0.05


def test_mixed_precision_says_nearly_the_same(encoder_run, tiny_cohort) -> None:
    exact = embed(encoder_run, tiny_cohort, level="patch").vectors
    fast = embed(encoder_run, tiny_cohort, level="patch", precision="auto").vectors
    cosine = (exact * fast).sum(1) / (
        np.linalg.norm(exact, axis=1) * np.linalg.norm(fast, axis=1)
    )
    assert np.median(cosine) > 0.998
    assert cosine.min() > 0.97


def test_what_cannot_be_embedded_is_told(encoder_run, tiny_cohort, tmp_path) -> None:
    with pytest.raises(BadConfig, match=r"no slice level.*--level scan"):
        embed(encoder_run, tiny_cohort, level="slice")
    good = {"patches": np.zeros((2, 16, 16, 16)), "locations": np.zeros((2, 3))}
    path = tmp_path / "p.npz"
    np.savez(path, **good)
    with pytest.raises(BadConfig, match="--level patch"):
        embed(encoder_run, path, level="scan")
    bad = [
        {"patches": good["patches"]},
        good | {"locations": np.zeros((3, 3))},
        good | {"patches": np.zeros((2, 16, 16, 8))},
        good | {"patches": np.full((2, 16, 16, 16), np.nan)},
        good | {"patches": np.full((2, 16, 16, 16), "a")},
        {"patches": np.zeros((0, 16, 16, 16)), "locations": np.zeros((0, 3))},
    ]
    for content in bad:
        np.savez(path, **content)
        with pytest.raises(BadScan, match="'patches'"):
            embed(encoder_run, path)
    np.savez(path, **(good | {"patches": np.zeros((2, 8, 8, 8))}))
    with pytest.raises(BadScan, match="patches of 16 voxels"):
        embed(encoder_run, path)
    path.write_bytes(b"no archive")
    with pytest.raises(BadScan, match="holds no patches"):
        embed(encoder_run, path)


def swap_sides(cohort: Cohort, key: str) -> None:
    """Make the lungs of a scan such that the atlas cannot fit."""
    mask, grid = cohort.lungs(key)
    swapped = np.where(mask > 0, 3 - mask, 0).astype(np.uint8)
    np.savez(cohort.layout.lungs(key), mask=swapped, affine=grid.affine)


def test_scans_that_the_atlas_does_not_fit_are_left_out(
    encoder_run, tiny_cohort, tmp_path
) -> None:
    shutil.copytree(tiny_cohort, tmp_path / "cohort")
    cohort = Cohort(tmp_path / "cohort")
    odd = cohort.keys()[0]
    swap_sides(cohort, odd)
    told = []
    found = embed(encoder_run, tmp_path / "cohort", tell=told.append)
    assert odd not in found.ids
    assert len(found.ids) == 3
    (message,) = [event for event in told if isinstance(event, Message)]
    assert odd in message.text
    for key in cohort.keys()[1:]:
        swap_sides(cohort, key)
    with pytest.raises(BadCohort, match="no scan of the kind"):
        embed(encoder_run, tmp_path / "cohort")
