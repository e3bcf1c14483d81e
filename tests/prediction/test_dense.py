"""Feature maps of scans: both modes against one window at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scanlearn.cohort.catalogue import Cohort
from scanlearn.encoders.encoder_file import load_encoder
from scanlearn.errors import BadConfig, BadRun
from scanlearn.new_run import finetuning_config
from scanlearn.prediction.representation.dense import dense_features
from scanlearn.prediction.representation.embedding import Embedder
from scanlearn.prediction.representation.embedding_file import embed
from scanlearn.prediction.representation.encoder_scans import cohort_scans
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.shared.encoder_start import start_of


@pytest.fixture(scope="module")
def dense_run(untrained):
    """Return an untrained run with the dense encoder."""
    return untrained("dense", encoder={"architecture": "dense", "basis": 2})


def first_scan(embedder, cohort):
    return cohort_scans(cohort, embedder.card, lambda event: None)[0]


def window_at(cohort, centre, side):
    """Cut a window that is centred on an LPS point."""
    record = cohort.record(cohort.keys()[0])
    affine = np.array(record.affine)
    index = np.linalg.solve(affine[:3, :3], centre - affine[:3, 3])
    start = np.rint(index - (side - 1) / 2).astype(int)
    np.testing.assert_allclose(start + (side - 1) / 2, index, atol=1e-3)
    padded = np.pad(np.asarray(cohort.voxels(record.key)), side, constant_values=-1024)
    a, b, c = start + side
    return padded[a : a + side, b : b + side, c : c + side]


def seen(window):
    x = (np.clip(window.astype(np.float64), -1024, 240) + 1024) / 632 - 1
    return torch.from_numpy(x).float()[None, None]


def test_exact_mode_is_one_window_after_another(encoder_run, tiny_cohort) -> None:
    embedder, cohort = Embedder(encoder_run.path), Cohort(tiny_cohort)
    told = []
    scan = first_scan(embedder, tiny_cohort)
    found = dense_features(
        embedder,
        scan,
        32.0,
        progress=lambda done, total: told.append((done, total)),
    )
    assert found.features.shape == (8, *found.grid.shape)
    assert found.grid.spacing_mm == pytest.approx((32, 32, 32))
    assert told[-1] == (found.known.sum(), found.known.sum())
    assert not found.features[:, ~found.known].any()
    encoder, _ = load_encoder(encoder_run.path)
    cells = np.argwhere(found.known)
    assert 10 < len(cells) < found.known.size
    for cell in cells[:: len(cells) // 6]:
        centre = found.grid.to_patient(cell)
        window = window_at(cohort, centre, 16)
        where = torch.from_numpy(scan.frame.to_location(centre)).float()[None]
        with torch.no_grad():
            expected = encoder(seen(window), where)[0].numpy()
        np.testing.assert_allclose(found.features[:, *cell], expected, atol=1e-4)


def test_patches_of_a_map_are_those_with_lung(encoder_run, tiny_cohort) -> None:
    embedder, cohort = Embedder(encoder_run.path), Cohort(tiny_cohort)
    found = dense_features(embedder, first_scan(embedder, tiny_cohort), 48.0)
    mask, grid = cohort.lungs(cohort.keys()[0])
    index = np.argwhere(mask > 0)[::11]
    points = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    for cell in np.argwhere(np.ones(found.grid.shape)):
        near = np.abs(points - found.grid.to_patient(cell)) <= 32
        share = near.all(axis=1).sum() * 11 / 32**3
        if abs(share - 0.1) > 0.03:
            assert found.known[tuple(cell)] == (share > 0.1)
    # The middles of the cells cover the scan.
    gap = found.grid.centre - cohort.grid(cohort.keys()[0]).centre
    assert np.abs(gap).max() <= 4


def test_one_pass_equals_its_windows(dense_run, tiny_cohort) -> None:
    embedder, cohort = Embedder(dense_run.path), Cohort(tiny_cohort)
    scan = first_scan(embedder, tiny_cohort)
    found = dense_features(embedder, scan, 32.0)
    encoder, card = load_encoder(dense_run.path)
    assert (card.patch_voxels, card.core_voxels, encoder.window) == (39, 16, 39)
    cells = np.argwhere(found.known)
    for cell in cells[:: len(cells) // 6]:
        centre = found.grid.to_patient(cell)
        window = window_at(cohort, centre, 39)
        here = scan.frame.to_location(centre)
        steps = scan.frame.to_location(centre + 4 * np.eye(3)) - here  # 4 mm voxels
        axes = torch.from_numpy(steps[::-1].T.copy()).float()[None]
        with torch.no_grad():
            where = torch.from_numpy(here).float()[None]
            expected = encoder(seen(window), where, axes)[0].numpy()
        np.testing.assert_allclose(found.features[:, *cell], expected, atol=1e-4)
    half = dense_features(embedder, scan, 64.0)
    assert half.grid.spacing_mm == pytest.approx((64, 64, 64))
    with pytest.raises(BadConfig, match="multiple of 32 mm"):
        dense_features(embedder, scan, 40.0)


def test_a_unet_does_not_start_from_it(dense_run, tiny_cohort) -> None:
    config = finetuning_config(
        [tiny_cohort],
        task=task_named("segmentation"),
        preset_name="quick",
        start_from=dense_run.path,
    )
    with pytest.raises(BadRun, match=r"dense encoder.*encoder.architecture=release"):
        start_of(config, width=8, spacing_mm=None, labelled=())


def test_the_dense_encoder_embeds_like_the_other(dense_run, tiny_cohort) -> None:
    found = embed(dense_run, tiny_cohort, level="patch")
    assert found.vectors.shape == (20, 8)
    assert np.ptp(found.vectors, axis=0).min() > 1e-4
