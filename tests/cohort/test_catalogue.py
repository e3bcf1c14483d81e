"""A cohort: opened, read in boxes, with scans left out."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadCohort


def test_records_voxels_grids_and_lungs_fit_together(cohort: Cohort) -> None:
    assert len(cohort) == 4
    assert cohort.patients() == sorted({r.patient for r in cohort.records()})
    for record in cohort.records():
        voxels = cohort.voxels(record.key)
        assert isinstance(voxels, np.memmap)
        assert voxels.dtype == np.int16
        assert voxels.shape == record.shape == cohort.grid(record.key).shape
        assert cohort.grid(record.key).is_canonical
        found = cohort.lungs(record.key)
        assert found is not None
        mask, grid = found
        assert mask.shape == grid.shape
        assert set(np.unique(mask)) == {0, 1, 2}
        assert record.lung_volume_ml == pytest.approx((mask > 0).sum() * grid.voxel_ml)
        # Lungs are dark where the mask says so.
        points = grid.to_patient(np.argwhere(mask > 0)[::97])
        index = np.rint(cohort.grid(record.key).to_index(points)).astype(int)
        assert np.median(voxels[tuple(index.T)]) < -700


start = st.tuples(*[st.integers(-50, 90)] * 3)
size = st.tuples(*[st.integers(1, 40)] * 3)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=60,
    deadline=None,
)
@given(start, size)
def test_boxes_are_those_of_a_padded_scan(prepared: Path, start, size) -> None:
    cohort = Cohort(prepared)
    key = cohort.keys()[0]
    voxels = np.asarray(cohort.voxels(key))
    padded = np.pad(voxels, 60, constant_values=-1024)
    expected = padded[
        tuple(slice(60 + a, 60 + a + n) for a, n in zip(start, size, strict=True))
    ]
    found = cohort.read_box(key, start, size)
    np.testing.assert_array_equal(found, expected)
    assert found.flags.writeable
    other = cohort.read_box(key, start, size, 7)
    assert (other[expected != found] == 7).all()


def test_exclusions_are_written_with_their_reason(cohort: Cohort) -> None:
    key = cohort.keys()[1]
    before = cohort.fingerprint()
    cohort.exclude(key, "motion")
    again = Cohort(cohort.path)
    assert key not in again.keys()  # noqa: SIM118
    assert key in again.keys(excluded=True)
    assert again.record(key).excluded == "motion"
    assert again.fingerprint() != before
    assert "motion" in (cohort.path / "catalogue.csv").read_text()
    again.include(key)
    assert Cohort(cohort.path).fingerprint() == before
    with pytest.raises(BadCohort, match="reason"):
        again.exclude(key, " ")


def test_a_cohort_travels_to_loader_processes(cohort: Cohort) -> None:
    key = cohort.keys()[0]
    cohort.voxels(key)
    other = pickle.loads(pickle.dumps(cohort))
    np.testing.assert_array_equal(
        other.read_box(key, (3, 3, 3), (4, 4, 4)),
        cohort.read_box(key, (3, 3, 3), (4, 4, 4)),
    )
    assert len(pickle.dumps(cohort)) < 100_000


def test_folders_that_are_no_cohort_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(BadCohort, match="no cohort"):
            Cohort.open(path)
    (tmp_path / "cohort.yaml").write_text("format: 99\n")
    with pytest.raises(BadCohort, match="format 99"):
        Cohort(tmp_path)
    for text in ("[", "3", "format: 1\nprepare: {spacing: 3}\n", ""):
        (tmp_path / "cohort.yaml").write_text(text)
        with pytest.raises(BadCohort, match=r"cohort\.yaml"):
            Cohort(tmp_path)


def test_damage_is_named(cohort: Cohort) -> None:
    first, second = cohort.keys()[:2]
    with pytest.raises(BadCohort, match="no scan P-nobody"):
        cohort.record("P-nobody")
    path = cohort.layout.voxels(first, ".npy")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadCohort, match=path.name):
        cohort.voxels(first)
    cohort.layout.lungs(first).write_bytes(b"")
    with pytest.raises(BadCohort, match="_lungs"):
        cohort.lungs(first)
    cohort.layout.record(second).write_text("{")
    with pytest.raises(BadCohort, match=second):
        Cohort(cohort.path)


def test_many_changes_write_the_table_once(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    write = Cohort.write_table

    def counted(self: Cohort) -> None:
        written.append(self)
        write(self)

    monkeypatch.setattr(Cohort, "write_table", counted)
    first, second, *_ = cohort.keys()
    with pytest.raises(BadCohort, match="no scan P-nobody"):
        cohort.amend({first: {"excluded": "a"}, "P-nobody": {"excluded": "b"}})
    assert len(Cohort(cohort.path)) == 4
    cohort.amend({first: {"excluded": "a"}, second: {"excluded": "b"}})
    assert len(written) == 1
    with (cohort.path / "catalogue.csv").open(newline="") as stream:
        rows = {row["scan"]: row for row in csv.DictReader(stream)}
    assert (rows[first]["excluded"], rows[second]["excluded"]) == ("a", "b")
    for record in cohort.records():
        assert rows[record.key]["source_hash"] == record.source_hash
