"""Densitometry against a slow version, hand-made lungs and phantoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scanlearn.anatomy.densitometry import (
    densitometry,
    densitometry_cautions,
    is_sharp,
)
from scanlearn.anatomy.lungs import LEFT, RIGHT, LungMask, lung_mask
from scanlearn.phantom.chest import make_chest
from scanlearn.scans.geometry import Grid
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Acquisition, Scan

CT = Acquisition(modality="CT", units="HU", kernel="B31f", slice_thickness_mm=1.0)


def masked(mask: np.ndarray, grid: Grid) -> LungMask:
    return LungMask(mask, grid, 0.0, 0.0)


def by_hand(scan: Scan, mask: np.ndarray, lung: str, part: str) -> tuple[float, ...]:
    """Return voxels, LAA-950, Perc15 and mean by plain loops over voxels."""
    sides = {"both": (RIGHT, LEFT), "right": (RIGHT,), "left": (LEFT,)}[lung]
    wanted = []
    for side in sides:
        voxels = []
        for index in np.ndindex(mask.shape):
            if mask[index] == side:
                z = float(scan.grid.to_patient(index)[2])
                voxels.append((z, float(scan.voxels[index])))
        if not voxels:
            continue
        low, high = min(voxels)[0], max(voxels)[0]
        for z, hu in voxels:
            share = (z - low) / (high - low)
            third = "lower" if share < 1 / 3 else "middle" if share < 2 / 3 else "upper"
            if part in ("whole", f"{third} third"):
                wanted.append(hu)
    wanted.sort()
    dark = sum(hu < -950 for hu in wanted)
    place = 0.15 * (len(wanted) - 1)
    below = int(place)
    above = min(below + 1, len(wanted) - 1)
    perc15 = wanted[below] + (place - below) * (wanted[above] - wanted[below])
    return len(wanted), 100 * dark / len(wanted), perc15, sum(wanted) / len(wanted)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    # To the thousandth: at less, whole slices of voxels lie on the border of thirds.
    angles=st.tuples(*[st.floats(-0.6, 0.6).map(lambda x: round(x, 3))] * 3),
    tilt=st.sampled_from([0.0, 0.4]),
    order=st.permutations(range(3)),
    floating=st.booleans(),
)
def test_any_grid_agrees_with_loops_over_its_voxels(
    seed, angles, tilt, order, floating
):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix()[:, order]
    affine[:3, :3] = affine[:3, :3] * (2.0, -0.7, 0.9)
    affine[:3, 0] += tilt * affine[:3, 1]
    grid = Grid((7, 6, 8), affine)
    hu = rng.integers(-1024, -700, grid.shape).astype(np.int16)
    voxels = (hu + rng.random(grid.shape)).astype(np.float32) if floating else hu
    mask = rng.integers(0, 3, grid.shape).astype(np.uint8)
    scan = Scan(voxels, grid, CT)
    for row in densitometry(scan, masked(mask, grid)):
        count, laa, perc15, mean = by_hand(scan, mask, row.lung, row.part)
        whole = row.part == "whole"
        # A line of voxels on the border of two thirds may round to either.
        slack = 1e-9 if whole else max(grid.shape) * grid.voxel_ml
        assert row.volume_ml == pytest.approx(count * grid.voxel_ml, abs=slack)
        if whole:
            assert row.laa950_percent == pytest.approx(laa)
            assert row.perc15_hu == pytest.approx(perc15, abs=1e-3)
            assert row.mean_hu == pytest.approx(mean, abs=1e-3)


def test_hand_made_lungs_have_their_known_thirds():
    """The right lung is emphysema above, the left lung is taller and all of -850."""
    hu = np.full((12, 4, 6), -850, np.int16)
    mask = np.zeros(hu.shape, np.uint8)
    mask[3:9, :, :2] = RIGHT
    mask[:, :, 4:] = LEFT
    hu[7:9, :, :2] = -980
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = 5.0, 10.0, 10.0
    affine[3, 3] = 1
    grid = Grid(hu.shape, affine)
    rows = {
        (row.lung, row.part): row
        for row in densitometry(Scan(hu, grid, CT), masked(mask, grid))
    }
    assert len(rows) == 12
    right = [rows["right", f"{part} third"] for part in ("upper", "middle", "lower")]
    assert [row.laa950_percent for row in right] == [100, 0, 0]
    assert [row.volume_ml for row in right] == pytest.approx([8, 8, 8])
    assert rows["right", "whole"].mean_hu == pytest.approx((-980 - 2 * 850) / 3)
    assert rows["left", "whole"].volume_ml == pytest.approx(48)
    assert rows["left", "whole"].perc15_hu == -850
    both = rows["both", "upper third"]
    assert both.volume_ml == pytest.approx(8 + 16)
    assert both.laa950_percent == pytest.approx(100 / 3)
    assert rows["both", "whole"].laa950_percent == pytest.approx(100 * 8 / 72)


def test_a_mask_of_another_spacing_reaches_the_source_voxels():
    fine = Grid((8, 8, 8), np.diag([1.0, 1, 1, 1]))
    hu = np.full(fine.shape, -900, np.int16)
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[:, :, 2:] = LEFT
    rows = densitometry(Scan(hu, fine, CT), masked(mask, fine.pooled(2)))
    assert rows[0].volume_ml == pytest.approx(0.256)
    right = next(row for row in rows if row.lung == "right")
    assert right.volume_ml == 0
    assert right.laa950_percent is None


def test_values_that_are_no_hounsfield_units_are_refused():
    grid = Grid((2, 2, 2), np.eye(4))
    scan = Scan(np.zeros(grid.shape), grid, Acquisition())
    with pytest.raises(ValueError, match="arbitrary"):
        densitometry(scan, masked(np.ones(grid.shape, np.uint8), grid))


def test_planted_emphysema_is_measured():
    phantom = make_chest(0, 2)
    scan, truth = phantom.scan, phantom.truth["lungs"]
    whole = densitometry(scan, lung_mask(scan))[0]
    known = densitometry(scan, masked(truth, scan.grid))[0]
    assert whole.volume_ml == pytest.approx(known.volume_ml, rel=0.08)
    assert whole.perc15_hu == pytest.approx(known.perc15_hu, abs=8)
    assert whole.laa950_percent == pytest.approx(known.laa950_percent, abs=1.5)


def test_a_real_chest_has_plausible_densities(real_data):
    scan = read_scan(real_data / "chest_ct" / "LIDC-IDRI-0001")
    whole = densitometry(scan, lung_mask(scan.canonical()))[0]
    assert 3000 < whole.volume_ml < 8000
    assert -900 < whole.mean_hu < -700
    assert -980 < whole.perc15_hu < whole.mean_hu
    assert 0 <= whole.laa950_percent < 40


@pytest.mark.parametrize(
    ("kernel", "sharp"),
    [
        *((name, False) for name in ("B31f", "B40f", "Br36d", "STANDARD", "SOFT")),
        *((name, False) for name in ("FC08", "FC13-H", "B", "C", "CHST", "", "Qr40")),
        *((name, True) for name in ("B60f", "B70s", "Bl57", "['I50f', '3']", "Hr60f")),
        *((name, True) for name in ("LUNG", "BONEPLUS", "EDGE", "FC51", "FC30", "YB")),
        *((name, True) for name in ("L", "D", "Lung")),
    ],
)
def test_sharp_kernels_are_known_by_name(kernel, sharp):
    assert is_sharp(kernel) is sharp


def test_cautions_name_what_they_found():
    spacing = (1.25, 0.7, 0.7)
    assert densitometry_cautions(CT, spacing) == []
    assert densitometry_cautions(CT, (2.5, 0.7, 0.7)) == []
    (thick,) = densitometry_cautions(replace(CT, slice_thickness_mm=8.0), spacing)
    assert "8 mm" in thick
    (apart,) = densitometry_cautions(CT, (5.0, 0.7, 0.7))
    assert "5 mm" in apart
    (sharp,) = densitometry_cautions(replace(CT, kernel="B70f"), spacing)
    assert "B70f is sharp" in sharp
    (unknown,) = densitometry_cautions(replace(CT, kernel=""), spacing)
    assert "does not name" in unknown
    (contrast,) = densitometry_cautions(replace(CT, contrast="Iohexol"), spacing)
    assert "Contrast" in contrast
