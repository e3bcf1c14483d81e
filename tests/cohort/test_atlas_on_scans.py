"""Atlases carried to cohorts: which one, to which scans, and what is said of it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from scanlearn.anatomy.frames import frame_of_mask
from scanlearn.anatomy.lungs import LungMask
from scanlearn.cohort.atlas.atlas_on_scans import (
    carry_atlas,
    choose_atlas,
    place_cohorts,
)
from scanlearn.cohort.atlas.atlas_quality import default_placement, remarks
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import LandmarkConfig
from scanlearn.errors import BadCohort, BadConfig


@pytest.fixture
def spoilt(tiny_cohort, tmp_path):
    """Return a copy of the cohort where one scan's lungs lie on the wrong sides."""
    shutil.copytree(tiny_cohort, tmp_path / "cohort")
    cohort = Cohort(tmp_path / "cohort")
    key = cohort.keys()[1]
    mask, grid = cohort.lungs(key)
    swapped = np.where(mask > 0, 3 - mask, 0).astype(np.uint8)
    np.savez(cohort.layout.lungs(key), mask=swapped, affine=grid.affine)
    return tmp_path / "cohort", key


def test_all_scans_are_registered_to_the_default(tiny_cohort) -> None:
    cohorts = WorkingCohorts([tiny_cohort], None)
    found = place_cohorts(cohorts, LandmarkConfig())
    assert found.atlas.source == "default"
    assert {one.method for one in found.placements.values()} == {"affine"}
    assert len(found.cohorts.scans) == len(cohorts.scans)
    for scan in found.cohorts.scans:
        assert scan.frame is found.placements[scan.key]
        assert scan.frame.atlas == found.atlas.hash
        # The scans' own boxes say nearly the same.
        corner = scan.frame.to_location(scan.record.frame.high)
        np.testing.assert_allclose(corner, 1, atol=0.35)
    (message,) = found.messages()
    assert message.severity == "note"
    assert "default atlas: 4 by affine" in message.text


def test_a_scan_it_does_not_fit_is_left_out_and_named(spoilt) -> None:
    folder, bad = spoilt
    found = place_cohorts(WorkingCohorts([folder], None), LandmarkConfig())
    assert bad not in [scan.key for scan in found.cohorts.scans]
    assert len(found.cohorts.scans) == 3
    warnings = [m.text for m in found.messages() if m.severity == "warning"]
    assert len(warnings) == 1
    assert warnings[0].startswith("Left out")
    assert bad in warnings[0]
    report = found.report()["scans"]
    assert report[bad]["usable"] is False
    assert sum(one["usable"] for one in report.values()) == 3


def test_a_scan_can_be_the_atlas(tiny_cohort) -> None:
    cohorts = WorkingCohorts([tiny_cohort], None)
    key = cohorts.scans[2].key
    found = place_cohorts(cohorts, LandmarkConfig(atlas=key))
    assert found.atlas.source == key
    own = found.placements[key]
    # Onto itself: nothing is turned or stretched.
    np.testing.assert_allclose(own.quality.scales, 1, atol=0.01)
    assert own.quality.rotation_degrees < 0.5
    assert own.quality.dice > 0.95
    with pytest.raises(BadConfig, match="P-nobody"):
        choose_atlas(cohorts, LandmarkConfig(atlas="P-nobody"))


def test_the_central_scan_has_the_most_typical_size(tiny_cohort) -> None:
    cohorts = WorkingCohorts([tiny_cohort], None)
    sizes = {}
    for scan in cohorts.scans:
        mask, grid = cohorts.cohorts[0].lungs(scan.key)
        sizes[scan.key] = np.log(frame_of_mask(mask > 0, grid, kind="lungs").size_mm)
    middle = np.median(list(sizes.values()), axis=0)
    nearest = min(sizes, key=lambda key: np.abs(sizes[key] - middle).sum())
    atlas = choose_atlas(cohorts, LandmarkConfig(atlas="central"))
    assert atlas.source == nearest


@pytest.mark.parametrize("coords", ["moments", "bbox", "field"])
def test_simpler_ways_are_kept_to(tiny_cohort, coords) -> None:
    cohorts = WorkingCohorts([tiny_cohort], None)
    found = place_cohorts(cohorts, LandmarkConfig(coords=coords))
    assert {one.method for one in found.placements.values()} == {coords}
    assert found.atlas.kind == ("field" if coords == "field" else "lungs")
    assert found.atlas.coords == coords


def test_bodies_are_registered_to_the_central_one(tiny_cohort) -> None:
    cohorts = WorkingCohorts([tiny_cohort], None)
    found = place_cohorts(cohorts, LandmarkConfig(region="body"))
    assert found.atlas.kind == "body"
    assert found.atlas.source in found.placements
    dice = [one.quality.dice for one in found.placements.values()]
    assert min(dice) > 0.85


def test_an_atlas_that_fits_nobody_is_refused(spoilt) -> None:
    folder, bad = spoilt
    cohort = Cohort(folder)
    for key in list(cohort.keys()):
        if key != bad:
            cohort.exclude(key, "for the test")
    cohorts = WorkingCohorts([folder], None)
    with pytest.raises(BadCohort, match="fits none"):
        carry_atlas(cohorts, choose_atlas(cohorts, LandmarkConfig()))


def test_preparing_says_where_the_default_atlas_does_not_fit(tiny_cohort) -> None:
    cohort = Cohort(tiny_cohort)
    record = cohort.records()[0]
    assert "registration" not in [problem.code for problem in record.checks]
    mask, grid = cohort.lungs(record.key)

    def problems(labels: np.ndarray) -> list[str]:
        lungs = LungMask(labels, grid, 2000, 2000)
        found = remarks(default_placement(lungs, record.frame))
        return [one.code for one in found]

    assert problems(mask) == []
    assert problems(np.where(mask > 0, 3 - mask, 0).astype(np.uint8)) == [
        "registration"
    ]
    half = mask.copy()
    half[: half.shape[0] // 2] = 0
    half[half == 2] = 0
    assert problems(half) == ["registration"]
