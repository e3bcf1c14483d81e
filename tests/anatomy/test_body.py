"""The body in scans that are not CT, and Otsu's threshold."""

from __future__ import annotations

import numpy as np

from scanlearn.anatomy.body import body_labels, otsu_threshold
from scanlearn.anatomy.default_lungs import default_lungs
from scanlearn.anatomy.label_mask import LabelMask
from scanlearn.anatomy.landmarks import make_atlas
from scanlearn.anatomy.placement import place
from scanlearn.scans.geometry import Grid


def test_otsu_is_the_best_of_all_thresholds() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(10, 4, 7000), rng.normal(60, 12, 3000)])
    found = otsu_threshold(values)

    def within(threshold: float) -> float:
        parts = values[values <= threshold], values[values > threshold]
        return sum(part.var() * part.size for part in parts if part.size)

    best = min(within(t) for t in np.linspace(values.min(), values.max() - 1, 400))
    assert within(found) <= best * 1.01
    assert 20 < found < 40


def head(scale: float, shift: float) -> tuple[np.ndarray, Grid]:
    """Return an uneven bright ellipsoid with a dark hole, in noise: like an MR."""
    spacing = (3.0, 1.5, 1.5)
    shape = (60, 140, 140)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:, 3] = -105, -105, -90, 1
    grid = Grid(shape, affine)
    x, y, z = np.moveaxis(grid.to_patient(np.moveaxis(np.indices(shape), 0, -1)), -1, 0)
    x, y, z = (x - shift) / scale, y / scale, z / scale
    size = (x / 60) ** 2 + (y / 75) ** 2 + ((z + 0.2 * y) / 65) ** 2
    rng = np.random.default_rng(1)
    volume = np.where(size < 1, 300 + 2 * y, 0) + np.abs(rng.normal(0, 12, shape))
    volume[(x**2 + y**2 + z**2) < 15**2] = 5
    return volume.astype(np.float32), grid


def test_a_body_is_found_filled_and_registered() -> None:
    volume, grid = head(1.0, 0.0)
    labels = body_labels(volume, grid, hounsfield=False)
    assert labels.count == 1
    assert labels.at([0, 0, 0]) == 1  # the hole
    expected = 4 / 3 * np.pi * 60 * 75 * 65
    assert abs(labels.volumes_mm3(1)[0] / expected - 1) < 0.05

    atlas = make_atlas(
        labels, kind="body", patch_mm=32, step_mm=26, least_fraction=0.1, source="one"
    )
    other = body_labels(*head(1.12, 9.0), hounsfield=False)
    found = place(atlas, other, atlas.frame)
    assert found.method == "affine"
    assert found.problems == ()
    np.testing.assert_allclose(found.quality.scales, 1.12, atol=0.02)
    np.testing.assert_allclose(found.to_patient([0, 0, 0])[0], 9, atol=1.5)


def test_hounsfield_units_need_no_threshold_of_their_own() -> None:
    volume, grid = head(1.0, 0.0)
    hu = np.where(volume > 100, 40, -1000).astype(np.int16)
    labels = body_labels(hu, grid, hounsfield=True)
    assert labels.at([0, 0, 0]) == 1
    air = body_labels(np.full_like(hu, -1000), grid, hounsfield=True)
    assert air.is_empty


def test_the_default_lungs_look_like_lungs() -> None:
    labels = default_lungs()
    assert isinstance(labels, LabelMask)
    right, left = labels.volumes_mm3(2) / 1e6
    assert 1 < right / left < 1.4
    assert 4 < right + left < 6
    low, high = labels.bounds_mm()
    np.testing.assert_allclose(low, -high)
    # Apices above, recesses below behind, the heart on the left in front.
    assert labels.at([[-80, 0, 30], [80, 0, 30]]).tolist() == [1, 2]
    assert labels.at([0, -20, -20]) == 0
    assert default_lungs().to_dict() == labels.to_dict()
