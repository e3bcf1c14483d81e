"""The lung mask against phantoms whose lungs are known, and on real scans."""

from __future__ import annotations

import time

import numpy as np
import pytest

from scanlearn.anatomy.lungs import LEFT, RIGHT, lung_mask, lung_problems
from scanlearn.errors import BadScan
from scanlearn.phantom.chest import make_chest
from scanlearn.scans.geometry import Grid
from scanlearn.scans.read import read_scan
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Acquisition, Scan

CT = Acquisition(modality="CT", units="HU")


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def scene(step: float = 2.0, slice_mm: float = 2.0) -> tuple[np.ndarray, Grid, dict]:
    """Return a body of ellipsoids: lungs, a trachea, and room for a stomach below."""
    shape = (round(280 / slice_mm), round(240 / step), round(340 / step))
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    z, y, x = z * slice_mm, y * step - 120, x * step - 170
    hu = np.full(shape, -1000.0, dtype=np.float32)
    hu[np.broadcast_to((x / 150) ** 2 + (y / 100) ** 2 < 1, shape)] = 40
    hu[np.broadcast_to((abs(y - 112) < 4) & (abs(x) < 160), shape)] = 100  # a table
    above = z > 90  # a flat diaphragm
    parts = {}
    for name, side in (("right", -1), ("left", 1)):
        lung = ((x - side * 70) / 52) ** 2 + (y / 75) ** 2 + ((z - 150) / 110) ** 2 < 1
        parts[name] = np.asarray(lung & above)
        hu[parts[name]] = -850
    trachea = (x**2 + y**2 < 9**2) & (z > 170)
    hu[np.broadcast_to(trachea, shape)] = -1000
    parts["trachea"] = np.broadcast_to(trachea, shape)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = slice_mm, step, step
    affine[3, 3] = 1
    return hu, Grid(shape, affine), parts


@pytest.mark.parametrize("patient", [2, 3, 4])
def test_lungs_of_phantoms_with_emphysema_are_found(patient: int) -> None:
    phantom = make_chest(0, patient)
    started = time.process_time()
    found = lung_mask(phantom.scan)
    seconds = time.process_time() - started
    truth = resample(
        phantom.truth["lungs"], phantom.scan.grid, found.grid, order=0, outside=0
    )
    for side in (RIGHT, LEFT):
        assert dice(found.mask == side, truth == side) > 0.96
    assert found.problems == ()
    assert found.grid.spacing_mm == (2.0, 2.0, 2.0)
    # Measured 0.3 s; the bound only catches a change of kind.
    assert seconds < 3


@pytest.mark.parametrize("slice_mm", [2.0, 8.0])
def test_stomach_gas_under_a_thin_diaphragm_is_no_lung(slice_mm: float) -> None:
    hu, grid, parts = scene(slice_mm=slice_mm)
    z, y, x = np.ogrid[: hu.shape[0], : hu.shape[1], : hu.shape[2]]
    z, y, x = z * slice_mm, y * 2.0 - 120, x * 2.0 - 170
    # Half a voxel of diaphragm: on the grid, gas and lung touch.
    gas = (((x - 75) / 38) ** 2 + (y / 50) ** 2 + ((z - 60) / 34) ** 2 < 1) & (z <= 90)
    hu[gas & ~parts["left"]] = -1000
    rng = np.random.default_rng(0)
    hu += rng.normal(0, 20, hu.shape).astype(np.float32)

    found = lung_mask(Scan(hu.astype(np.int16), grid, CT))
    lost = resample(gas.astype(np.uint8), grid, found.grid, order=0, outside=0) > 0
    left = resample(
        parts["left"].astype(np.uint8), grid, found.grid, order=0, outside=0
    )
    assert np.count_nonzero(lost & (found.mask > 0)) < 0.1 * np.count_nonzero(lost)
    assert dice(found.mask == LEFT, left > 0) > 0.94


def test_trachea_and_table_are_no_lung_and_sides_are_right() -> None:
    hu, grid, parts = scene()
    found = lung_mask(Scan(hu, grid, CT))
    assert not found.mask[parts["trachea"]].any()
    assert dice(found.mask == RIGHT, parts["right"]) > 0.97
    assert dice(found.mask == LEFT, parts["left"]) > 0.97
    x = grid.to_patient(np.argwhere(found.mask == RIGHT))[:, 0].mean()
    assert x < grid.centre[0]


def test_vessels_and_nodules_inside_are_filled() -> None:
    hu, grid, parts = scene()
    centre = np.argwhere(parts["right"]).mean(axis=0).astype(int)
    z, y, x = centre
    hu[z - 4 : z + 4, y - 4 : y + 4, x - 4 : x + 4] = 60  # a nodule of 16 mm
    hu[z, y - 20 : y + 20, x + 8 : x + 10] = 60  # a vessel
    found = lung_mask(Scan(hu, grid, CT))
    assert (found.mask[parts["right"]] == RIGHT).mean() > 0.97


def test_a_body_without_lungs_has_an_empty_mask_that_says_so() -> None:
    hu, grid, parts = scene()
    hu[parts["right"] | parts["left"] | parts["trachea"]] = 40
    found = lung_mask(Scan(hu, grid, CT))
    assert found.volume_ml == 0
    assert [p.code for p in found.problems] == ["no-lungs"]


@pytest.mark.parametrize(
    ("right", "left", "codes"),
    [
        (2000, 1800, []),
        (500, 600, ["lung-volume"]),
        (6000, 6000, ["lung-volume"]),
        (3000, 1000, ["lung-ratio"]),
        (2000, 0, ["lung-ratio"]),
        (0, 0, ["no-lungs"]),
    ],
)
def test_unusual_volumes_are_told(right: float, left: float, codes: list[str]) -> None:
    assert [p.code for p in lung_problems(right, left)] == codes


def test_only_canonical_hounsfield_units_are_taken() -> None:
    hu, grid, _ = scene()
    with pytest.raises(BadScan, match="Hounsfield"):
        lung_mask(Scan(hu, grid, Acquisition(modality="MR")))
    turned = Grid((hu.shape[2], hu.shape[1], hu.shape[0]), np.diag([2.0, 2, 2, 1]))
    with pytest.raises(BadScan, match="canonical"):
        lung_mask(Scan(hu.T, turned, CT))


@pytest.mark.parametrize(
    ("name", "right_l", "left_l"),
    [("LIDC-IDRI-0001", 1.97, 1.74), ("Lung_Dx-A0002_B40f", 1.10, 1.55)],
)
def test_real_scans_keep_the_volumes_that_were_looked_at(
    real_data, name: str, right_l: float, left_l: float
) -> None:
    found = lung_mask(read_scan(real_data / "chest_ct" / name).canonical())
    assert found.right_ml / 1000 == pytest.approx(right_l, abs=0.05)
    assert found.left_ml / 1000 == pytest.approx(left_l, abs=0.05)
    assert found.problems == ()
