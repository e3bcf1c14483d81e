"""Vectors of slices, volumes and images, and the scans that they find alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.slices import SliceCohorts, even
from scanlearn.config.prepare import PrepareConfig
from scanlearn.encoders.encoder_file import load_slice_encoder
from scanlearn.errors import BadCohort, BadConfig
from scanlearn.prediction.representation.embedding_file import embed
from scanlearn.prediction.representation.patch_search import search
from scanlearn.prediction.representation.slice_embedding import (
    SliceEmbedder,
    SliceVectors,
)
from scanlearn.prediction.representation.slice_scans import cohort_slice_scans
from scanlearn.prediction.representation.slice_search import same_slice, similar_volumes
from scanlearn.pretraining.joint.slice_batches import SliceData
from scanlearn.runs.events import Message
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.views.normalise import normalised


def test_a_scan_is_embedded_as_the_training_sees_it(slice_run, mixed_cohorts) -> None:
    """From the training's own pixels, by the encoder itself, without views."""
    encoder, _ = load_slice_encoder(slice_run.path)
    config = slice_run.config().recipe
    cohorts = SliceCohorts(
        mixed_cohorts[:1], slices=config.slices, images_a_volume=config.images_a_volume
    )
    stack = SliceData(cohorts, config).stacks(range(6))
    with torch.no_grad():
        x = normalised(stack["volumes"])
        tokens = encoder.tokens(x, stack["lengths"])
        z = encoder.volumes(tokens, stack["lengths"]).numpy()
        maps = encoder.trunk(x.flatten(0, 1)[:, None])
    whole = embed(slice_run, mixed_cohorts[0])
    assert whole.ids.tolist() == Cohort(mixed_cohorts[0]).keys()
    np.testing.assert_allclose(whole.vectors, z, atol=1e-5)

    slices = embed(slice_run, mixed_cohorts[0], level="slice")
    depths = [9, 10, 11, 12, 13, 14]
    assert len(slices.ids) == sum(depths)
    assert slices.more["slices"].tolist() == [n for d in depths for n in range(d)]
    first = np.cumsum([0, *depths])[:-1]
    taken = [f + n for f, d in zip(first, depths, strict=True) for n in even(d, 6)]
    means = [m.mean(dim=(2, 3)).numpy() for m in maps]
    deviations = [m.numpy().std(axis=(2, 3)) for m in maps]
    described = np.concatenate([*means, *deviations], axis=1)
    np.testing.assert_allclose(slices.vectors[taken], described, atol=1e-4)
    # Every slice has its middle in the patient.
    record = Cohort(mixed_cohorts[0]).records()[0]
    middle = record.grid.to_patient((3, 25 / 2, 21 / 2))
    np.testing.assert_allclose(slices.more["positions"][3], middle)

    mean = embed(slice_run, mixed_cohorts[0], pool="mean")
    np.testing.assert_allclose(
        mean.vectors[0], slices.vectors[:9].mean(axis=0), atol=1e-5
    )


def test_radiographs_are_images(slice_run, mixed_cohorts) -> None:
    films = embed(slice_run, mixed_cohorts[2])
    assert films.vectors.shape == (12, 2 * (4 + 8 + 16 + 32))
    again = embed(slice_run, mixed_cohorts[2], level="slice")
    np.testing.assert_array_equal(films.vectors, again.vectors)
    with pytest.raises(BadConfig, match="no holistic vector"):
        embed(slice_run, mixed_cohorts[2], pool="holistic")
    with pytest.raises(BadConfig, match="encoder of slices"):
        embed(slice_run, mixed_cohorts[2], level="patch")


def test_a_file_gives_what_its_cohort_gives(slice_run, mixed_cohorts, tmp_path) -> None:
    """An MR as prepared, and straight from its file: scored alike, so told alike.

    The cohorts of waves are written by hand, with scores that no preparation gives.
    """
    waves = Cohort(mixed_cohorts[1])
    record = waves.records()[2]
    path = tmp_path / "scans" / "head.nii.gz"
    write_nifti(path, np.asarray(waves.voxels(record.key)), record.grid)
    config = PrepareConfig(spacing_mm=4.0, workers=0)
    prepare(tmp_path / "scans", tmp_path / "cohort", config)
    rows = embed(slice_run, path, level="slice")
    own = embed(slice_run, tmp_path / "cohort", level="slice")
    assert rows.ids.tolist() == ["head"] * 7
    np.testing.assert_allclose(rows.vectors, own.vectors, atol=1e-4)
    np.testing.assert_allclose(rows.more["positions"], own.more["positions"], atol=1e-3)


def test_kinds_that_were_not_trained_are_left_out(slice_run, mixed_cohorts) -> None:
    card = SliceEmbedder(slice_run.path).card
    assert card.units == ("HU", "unit", "zscore")
    only = card.model_copy(update={"units": ("HU",)})
    told: list = []
    with pytest.raises(BadCohort, match="no scan of a kind"):
        cohort_slice_scans(mixed_cohorts[1], only, told.append)
    assert len([e for e in told if isinstance(e, Message)]) == 5


def row(key: str, vectors: list, patient: str = "p", holistic=None) -> SliceVectors:
    positions = np.array([(1.0, 2.0, 5.0 * n) for n in range(len(vectors))])
    whole = None if holistic is None else np.array(holistic, np.float32)
    return SliceVectors(key, patient, np.array(vectors, np.float32), positions, whole)


def test_similarity_by_hand() -> None:
    rows = [
        row("a", [[2, 1], [2, 1]], holistic=[-1, 1]),
        row("b", [[-2, -1]], holistic=[1, -1]),
    ]
    query = row("q", [[4, 0]], holistic=[1, -1])
    assert [hit.scan for hit in similar_volumes(rows, query)] == ["b", "a"]
    film = row("q", [[4, 0]])
    hits = similar_volumes(rows, film)
    assert [hit.scan for hit in hits] == ["a", "b"]
    assert hits[0].similarity == pytest.approx(0.5**0.5)


def test_the_slice_of_a_point_finds_its_like_in_others() -> None:
    rows = [
        row("a", [[1, 0], [0, 1], [-1, -1]], "p1"),
        row("b", [[0, 1], [1, 0]], "p2"),
        row("own", [[0, 1]], "p0"),
    ]
    query = row("q", [[5, 5], [0, 1]], "p0")
    hits = same_slice(rows, query, (4.0, 2.0, 5.6))
    assert {hit.scan for hit in hits} == {"a", "b"}
    places = {hit.scan: hit.position for hit in hits}
    # The point lies 3 mm beside and 0.6 mm above the middle of its slice.
    assert places["a"] == pytest.approx((4.0, 2.0, 5.6))
    assert places["b"] == pytest.approx((4.0, 2.0, 0.6))
    with pytest.raises(BadConfig, match="outside the scan"):
        same_slice(rows, query, (0, 0, 40))


def test_search_of_a_joint_run(slice_run, mixed_cohorts, monkeypatch) -> None:
    keys = Cohort(mixed_cohorts[0]).keys()
    hits = search(slice_run, mixed_cohorts[0], keys[2], count=3)
    assert len(hits) == 3
    assert keys[2] not in {hit.scan for hit in hits}
    vectors = embed(slice_run, mixed_cohorts[0], precision="auto").vectors
    z = (vectors - vectors.mean(0)) / vectors.std(0)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    expected = dict(zip(keys, z @ z[2], strict=True))
    for hit in hits:
        assert hit.similarity == pytest.approx(expected[hit.scan], abs=1e-3)

    def fail(*_args):
        raise AssertionError("embedded again")

    monkeypatch.setattr(SliceEmbedder, "scan", fail)
    assert search(slice_run, mixed_cohorts[0], keys[2], count=3) == hits
    middle = Cohort(mixed_cohorts[0]).records()[2].grid.centre
    placed = search(slice_run, mixed_cohorts[0], keys[2], at=middle)
    assert len(placed) == 5
    assert all(hit.position is not None for hit in placed)
