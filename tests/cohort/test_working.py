"""Cohorts at the voxel size of a training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.cohort.catalogue import Cohort, write_record
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.working import (
    WorkingCohorts,
    common_units,
    pooled_mean,
    pooling_factor,
)
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadCohort, BadConfig


@pytest.fixture
def copied(tiny_cohort: Path, tmp_path: Path) -> Cohort:
    """Return a copy of the tiny cohort, free to be changed."""
    return Cohort(shutil.copytree(tiny_cohort, tmp_path / "copy"))


@given(st.tuples(*[st.integers(1, 9)] * 3), st.integers(1, 4))
def test_pooling_averages_whole_blocks(shape, factor) -> None:
    voxels = np.random.default_rng(0).integers(-1024, 3000, shape).astype(np.int16)
    pooled = pooled_mean(voxels, factor)
    assert pooled.dtype == np.float32
    assert pooled.shape == tuple(n // factor for n in shape)
    for place in np.ndindex(pooled.shape):
        i, j, k = (slice(n * factor, (n + 1) * factor) for n in place)
        assert pooled[place] == pytest.approx(voxels[i, j, k].mean(), rel=1e-5)


def test_stored_voxels_are_read_as_they_are(tiny_cohort) -> None:
    working, cohort = WorkingCohorts([tiny_cohort], None), Cohort(tiny_cohort)
    assert working.spacing_mm == (4, 4, 4)
    assert [scan.key for scan in working.scans] == cohort.keys()
    for number, scan in enumerate(working.scans):
        box = working.read(number, (5, 6, 7), (3, 4, 5))
        assert box.dtype == np.float32
        np.testing.assert_array_equal(box, cohort.voxels(scan.key)[5:8, 6:10, 7:12])
        assert scan.frame == cohort.record(scan.key).frame
        assert scan.units == "HU"


def test_coarser_voxels_are_means_at_the_right_place(tiny_cohort) -> None:
    working, cohort = WorkingCohorts([tiny_cohort], 8.0), Cohort(tiny_cohort)
    scan = working.scans[1]
    assert (scan.factor, scan.grid.spacing_mm) == (2, (8, 8, 8))
    whole = pooled_mean(np.array(cohort.voxels(scan.key)), 2)
    assert scan.grid.shape == whole.shape
    np.testing.assert_allclose(working.read(1, (0, 0, 0), whole.shape), whole)
    box = working.read(1, (3, 10, 4), (2, 5, 6))
    np.testing.assert_allclose(box, whole[3:5, 10:15, 4:10])
    # The middle of a working voxel is the middle of its eight stored ones.
    stored = scan.record.grid.to_patient([[7, 9, 11], [6, 8, 10]]).mean(axis=0)
    np.testing.assert_allclose(scan.grid.to_patient([3, 4, 5]), stored)


def test_beyond_the_borders_there_is_air(tiny_cohort) -> None:
    working = WorkingCohorts([tiny_cohort], 8.0)
    shape = working.scans[0].grid.shape
    inside = working.read(0, (0, 0, 0), shape)
    around = working.read(0, (-2, -1, -3), np.add(shape, (4, 2, 6)))
    np.testing.assert_array_equal(around[2:-2, 1:-1, 3:-3], inside)
    around[2:-2, 1:-1, 3:-3] = -1024
    assert (around == -1024).all()
    assert (working.read(0, (500, 0, 0), (2, 2, 2)) == -1024).all()


@pytest.mark.parametrize(
    ("asked", "factor"), [(None, 1), (4, 1), (4.05, 1), (8, 2), (12, 3)]
)
def test_factors(tiny_cohort, asked, factor) -> None:
    record = Cohort(tiny_cohort).records()[0]
    assert pooling_factor(record, asked) == factor


@pytest.mark.parametrize("asked", [1.0, 2.0, 3.5, 6.0, 10.0])
def test_a_voxel_size_that_is_no_multiple_is_refused(tiny_cohort, asked) -> None:
    with pytest.raises(BadConfig, match="4 mm") as problem:
        WorkingCohorts([tiny_cohort], asked)
    assert "(spacing_mm) to 4 or 8" in str(problem.value)


def test_scans_of_several_cohorts_are_numbered_through(tiny_cohort, copied) -> None:
    both = WorkingCohorts([tiny_cohort, copied.path], None)
    assert [scan.cohort for scan in both.scans] == [0] * 4 + [1] * 4
    patients = both.patients()
    assert list(patients) == sorted(patients)
    assert list(patients.values()) == [[n, n + 4] for n in range(4)]
    box = ((30, 30, 30), (4, 4, 4))
    for first, second in patients.values():
        np.testing.assert_array_equal(both.read(first, *box), both.read(second, *box))


def test_a_coarse_and_a_fine_cohort_meet_at_a_common_voxel_size(
    tiny_sample, tiny_cohort, tmp_path
) -> None:
    nifti = next((tiny_sample / "scans" / "nifti").iterdir())
    prepare(nifti, tmp_path / "fine", PrepareConfig(spacing_mm=2.0, workers=0))
    both = [tiny_cohort, tmp_path / "fine"]
    with pytest.raises(BadCohort, match="2 x 2 x 2 mm") as problem:
        WorkingCohorts(both, None)
    assert "4 x 4 x 4 mm" in str(problem.value)
    working = WorkingCohorts(both, 4.0)
    assert [scan.factor for scan in working.scans] == [1, 1, 1, 1, 2]
    assert {scan.grid.spacing_mm for scan in working.scans} == {(4, 4, 4)}


def test_scans_left_out_do_not_count(copied) -> None:
    left_out = copied.keys()[1]
    copied.exclude(left_out, "moved")
    working = WorkingCohorts([copied.path], None)
    assert len(working.scans) == 3
    assert left_out not in {scan.key for scan in working.scans}
    for record in copied.records():
        copied.exclude(record.key, "moved")
    with pytest.raises(BadCohort, match="no usable volume"):
        WorkingCohorts([copied.path], None)


def test_scans_of_several_kinds_are_refused_by_name(tiny_cohort, copied) -> None:
    working = WorkingCohorts([tiny_cohort], None)
    assert common_units(working.scans) == "HU"
    record = copied.records()[2]
    other = record.intensity.model_copy(update={"units": "zscore"})
    write_record(copied.layout, record.model_copy(update={"intensity": other}))
    mixed = WorkingCohorts([copied.path], None)
    with pytest.raises(BadCohort, match=f"1 zscore .{record.key}"):
        common_units(mixed.scans)
