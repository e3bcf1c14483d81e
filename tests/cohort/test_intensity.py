"""Stored intensities and the way back to those of the source."""

from __future__ import annotations

import numpy as np
import pytest

from scanlearn.cohort.intensity import normalised


def test_hounsfield_units_stay_as_they_are() -> None:
    voxels = np.array([[[-2048.0, -1024, -0.6, 40.4, 3071, 9000]]])
    stored, intensity = normalised(voxels, "HU")
    assert stored.dtype == np.int16
    assert stored.ravel().tolist() == [-1024, -1024, -1, 40, 3071, 3071]
    assert (intensity.centre, intensity.scale, intensity.outside) == (0, 1, -1024)


@pytest.mark.parametrize("factor", [1.0, 40.0])
def test_scores_do_not_depend_on_the_scanners_scale(factor: float) -> None:
    rng = np.random.default_rng(0)
    voxels = np.zeros((20, 40, 40))
    voxels[:, 5:35, 5:35] = rng.normal(500, 60, (20, 30, 30))
    voxels[0, 10, 10] = 1e6  # a spike must not set the scale
    stored, intensity = normalised(voxels * factor, "zscore")
    assert stored.dtype == np.float32
    inside = stored[:, 5:35, 5:35]
    assert np.median(inside) == pytest.approx(0, abs=0.02)
    assert inside.std() == pytest.approx(1, abs=0.1)
    back = stored * intensity.scale + intensity.centre
    tissue = (slice(1, None), slice(5, 35), slice(5, 35))
    np.testing.assert_allclose(back[tissue], voxels[tissue] * factor, rtol=1e-4)
    assert intensity.outside == stored.min()


def test_films_run_from_0_to_1_and_constants_do_no_harm() -> None:
    stored, _ = normalised(np.arange(10_000).reshape(1, 100, 100), "unit")
    assert stored.min() == 0
    assert stored.max() == 1
    for units in ("zscore", "unit"):
        stored, intensity = normalised(np.full((3, 3, 3), 7), units)
        assert np.isfinite(stored).all()
        assert intensity.scale == 1
