"""Similar scans and the same place in other patients."""

from __future__ import annotations

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadConfig, BadScan
from scanlearn.prediction.representation import patch_search as searching
from scanlearn.prediction.representation.embedding import Embedder, ScanVectors
from scanlearn.prediction.representation.embedding_file import embed
from scanlearn.prediction.representation.encoder_scans import cohort_scans
from scanlearn.prediction.representation.patch_search import search, similar_scans
from scanlearn.runs.events import Step


def row(key, vector, patient="p"):
    vectors = np.tile(np.asarray(vector, np.float32), (2, 1))
    return ScanVectors(key, patient, vectors, np.zeros((2, 3)), np.ones(2))


def test_similarity_by_hand() -> None:
    # Means 0, standard deviations 2 and 1; the third number never varies.
    rows = [row("a", [2, 1, 5]), row("b", [-2, -1, 5])]
    hits = similar_scans(rows, row("query", [4, 0, 5]))
    assert [hit.scan for hit in hits] == ["a", "b"]
    # (1, 1) and (2, 0) enclose 45 degrees.
    assert [hit.similarity for hit in hits] == pytest.approx([0.5**0.5, -(0.5**0.5)])
    assert [hit.scan for hit in similar_scans(rows, rows[0])] == ["b"]


def test_similar_scans_of_a_cohort(encoder_run, tiny_cohort) -> None:
    keys = Cohort(tiny_cohort).keys()
    told = []
    hits = search(encoder_run, tiny_cohort, keys[2], count=2, tell=told.append)
    assert [event for event in told if isinstance(event, Step)]
    vectors = embed(encoder_run, tiny_cohort).vectors.astype(np.float64)
    z = (vectors - vectors.mean(0)) / vectors.std(0)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    expected = dict(zip(keys, z @ z[2], strict=True))
    del expected[keys[2]]
    best = sorted(expected, key=lambda key: -expected[key])[:2]
    assert [hit.scan for hit in hits] == best
    for hit in hits:
        assert hit.similarity == pytest.approx(expected[hit.scan], abs=0.05)  # bf16
        assert hit.position is None
        assert set(hit.to_dict()) == {"scan", "patient", "similarity"}


def test_a_second_search_takes_the_vectors_from_the_run(
    encoder_run, tiny_cohort, monkeypatch
) -> None:
    keys = Cohort(tiny_cohort).keys()
    first = search(encoder_run, tiny_cohort, keys[0])
    (kept,) = (encoder_run.path / "embeddings").iterdir()

    def fail(*_args, **_settings):
        raise AssertionError("embedded again")

    with monkeypatch.context() as patch:
        patch.setattr(searching, "cohort_scans", fail)
        assert search(encoder_run, tiny_cohort, keys[0]) == first
    # Other weights have a cache of their own.
    weights = encoder_run.checkpoints / "encoder.safetensors"
    before = weights.read_bytes()
    changed = bytearray(before)
    changed[-1] ^= 1
    weights.write_bytes(bytes(changed))
    try:
        search(encoder_run, tiny_cohort, keys[0])
    finally:
        weights.write_bytes(before)
    assert len(list((encoder_run.path / "embeddings").iterdir())) == 2
    assert kept.exists()
    text = kept.name
    assert Cohort(tiny_cohort).fingerprint() in text


def test_a_file_of_the_cohort_is_recognised(
    encoder_run, tiny_cohort, tiny_sample
) -> None:
    source = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    cohort = Cohort(tiny_cohort)
    sources = cohort.sources().items()
    (key,) = [key for key, one in sources if one.path.endswith(source.name)]
    hits = search(encoder_run, tiny_cohort, str(source))
    assert hits == search(encoder_run, tiny_cohort, key)
    assert key not in [hit.scan for hit in hits]


def test_the_same_place_in_other_patients(encoder_run, tiny_cohort) -> None:
    cohort = Cohort(tiny_cohort)
    keys = cohort.keys()
    embedder = Embedder(encoder_run.path)
    scans = {
        one.key: one
        for one in cohort_scans(tiny_cohort, embedder.card, lambda event: None)
    }
    location = np.array([0.4, 0.1, -0.3])
    point = scans[keys[1]].frame.to_patient(location)
    hits = search(encoder_run, tiny_cohort, keys[1], at=point, count=9)
    assert sorted(hit.scan for hit in hits) == sorted({*keys} - {keys[1]})
    similarities = [hit.similarity for hit in hits]
    assert similarities == sorted(similarities, reverse=True)
    for hit in hits:
        place = scans[hit.scan].frame.to_patient(location)
        np.testing.assert_allclose(hit.position, place, atol=1e-6)
        about = hit.to_dict()
        assert [about[axis] for axis in "xyz"] == pytest.approx(place, abs=0.01)
    with pytest.raises(BadConfig, match="outside the scan"):
        search(encoder_run, tiny_cohort, keys[1], at=[0, 0, 99999])


def test_a_scan_that_is_nowhere_is_told(encoder_run, tiny_cohort, tmp_path) -> None:
    with pytest.raises(BadScan):
        search(encoder_run, tiny_cohort, str(tmp_path / "none.nii.gz"))
