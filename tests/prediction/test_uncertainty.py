"""Uncertainty against scipy; views of a scan against what they must undo."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import stats

from scanlearn.prediction.result_files import Saving
from scanlearn.prediction.uncertainty import entropy, write_uncertainty
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.segmentation.turned_views import averaged, view_grids


def grid_of(shape, spacing) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[::-1] * spacing
    affine[:3, 3] = (-30.0, 12.0, 70.0)
    return Grid(shape, affine)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_entropy_is_that_of_scipy_over_an_even_guess(classes):
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 256, (classes, 5, 6)).astype(np.uint8)
    steps[:, 0] = 0
    steps[0, 0] = 255  # sure
    steps[:, 1] = 31  # an even guess, and no sum of 255
    expected = stats.entropy(steps.astype(float), axis=0) / np.log(classes)
    assert entropy(steps) == pytest.approx(expected, abs=1e-5)
    assert not entropy(steps)[0].any()
    assert entropy(steps)[1] == pytest.approx(1, abs=1e-6)
    # Outside the lungs a texture has no class at all.
    assert not entropy(np.zeros((classes, 2), np.uint8)).any()


def test_the_map_is_written_in_the_grid_of_the_scan(tmp_path):
    grid = grid_of((3, 4, 5), (2.0, 1.0, 0.5))
    values = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    path = write_uncertainty(Saving(tmp_path, "scan", "run"), values, grid)
    image = nib.load(path)
    assert path.name == "scan_uncertainty.nii.gz"
    assert np.abs(np.asarray(image.dataobj) - values).max() <= 0.5 / 255 + 1e-6
    assert np.allclose(image.affine, np.diag([-1, -1, 1, 1]) @ grid.affine)


def planes(grid: Grid) -> np.ndarray:
    """Return a scan that differs along every direction, and that lines can follow."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    x, y, z = np.moveaxis(grid.to_patient(index), -1, 0)
    return (0.5 + 0.004 * x - 0.002 * y + 0.003 * z).astype(np.float32)


@pytest.mark.parametrize("across", [None, 0, 1, 2])
def test_views_are_undone_exactly(across):
    """Between voxels of a linear scan nothing is lost: all views agree."""
    grid = grid_of((16, 21, 18), (2.5, 1.5, 2.0))
    scan, looked = planes(grid), []

    def look(voxels, where):
        index = np.stack(np.meshgrid(*map(np.arange, where.shape), indexing="ij"), -1)
        at = grid.to_index(where.to_patient(index))
        inside = ((at >= 0) & (at <= np.array(grid.shape) - 1)).all(axis=-1)
        # What a view shows is what lies there in the patient.
        assert voxels[inside] == pytest.approx(planes(where)[inside], abs=1e-4)
        looked.append((voxels, inside.mean()))
        return np.stack([1 - voxels, voxels])

    grids = view_grids(grid, 4, across=across)
    mean, counts = averaged(scan, grids, look, outside=np.nan)
    # Half a voxel within the border a view repeats what is there.
    core = (slice(None), *[slice(5, -5)] * 3)
    assert mean[core] == pytest.approx(np.stack([1 - scan, scan])[core], abs=1e-4)
    assert np.abs(mean[1] - scan).max() < 0.01
    assert [n.sum() for n in counts] == [scan.size] * 4
    assert all(0.6 < share < 1 for _, share in looked[1:])
    assert len({voxels.tobytes() for voxels, _ in looked}) == 4
    for turned in grids[1:]:
        assert turned.centre == pytest.approx(grid.centre)
        change = turned.affine[:3, :3] @ np.linalg.inv(grid.affine[:3, :3])
        assert 0.8 < np.linalg.det(change) < 1.25  # never mirrored
        cosines = (turned.directions * grid.directions).sum(axis=0)
        assert 0.9 < cosines.min() < 0.9999
        if across is not None:
            # Array axes (S, P, L) lie along z, y and x.
            axis = 2 - across
            assert change[axis] == pytest.approx(np.eye(3)[axis], abs=1e-9)
            assert change[:, axis] == pytest.approx(np.eye(3)[axis], abs=1e-9)


def test_a_network_that_minds_where_a_voxel_lies_disagrees_with_itself():
    """By array, what is above is class 1: every view cuts the scan elsewhere."""
    grid = grid_of((16, 20, 20), (2.0, 2.0, 2.0))

    def look(voxels, _where):
        upper = np.zeros(voxels.shape, np.float32)
        upper[5:] = 1
        return np.stack([1 - upper, upper])

    scan = np.zeros(grid.shape, np.float32)
    mean, counts = averaged(scan, view_grids(grid, 6), look, outside=0.0)
    unsure = entropy(np.rint(mean * 255).astype(np.uint8))
    assert unsure[4:6].mean() > 5 * unsure[[0, -1]].mean()
    assert unsure[[4, 5]].max() > 0.5
    assert np.std([n[1] for n in counts]) > 0
    once, counts = averaged(scan, view_grids(grid, 1), look, outside=0.0)
    assert np.array_equal(once, look(scan, grid))
    assert len(counts) == 1
