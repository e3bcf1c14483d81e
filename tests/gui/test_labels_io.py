from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.errors import BadLabels
from scanlearn.gui.viewer.labels_io import Painted, amount, to_grid, write_labels
from scanlearn.gui.viewer.layers import Origin
from scanlearn.scans.geometry import Grid, canonical_grid, to_canonical_axes


def oblique_grid(degrees: float, spacing: tuple[float, float, float]) -> Grid:
    turn = np.deg2rad(degrees)
    affine = np.eye(4)
    affine[:3, :3] = [
        [0, np.sin(turn), np.cos(turn)],
        [0, np.cos(turn), -np.sin(turn)],
        [1, 0, 0],
    ] * np.array(spacing)
    return Grid((9, 14, 13), affine)


@settings(max_examples=25, deadline=None)
@given(
    degrees=st.floats(-30, 30),
    thickness=st.floats(0.8, 4.0),
    seed=st.integers(0, 1000),
)
def test_every_painted_voxel_leaves_a_trace(
    degrees: float, thickness: float, seed: int
) -> None:
    source = oblique_grid(degrees, (thickness, 1.0, 1.0))
    shown = canonical_grid(source)
    rng = np.random.default_rng(seed)
    painted = np.zeros(shown.shape, dtype=np.uint8)
    index = tuple(rng.integers(0, n, size=6) for n in shown.shape)
    painted[index] = 3
    result = to_grid(painted, shown, source)
    holders = np.rint(source.to_index(shown.to_patient(np.argwhere(painted))))
    inside = ((holders >= 0) & (holders < source.shape)).all(axis=1)
    assert (result[tuple(holders[inside].astype(int).T)] == 3).all()


def test_a_turned_grid_gives_back_exactly_what_was_painted(tmp_path: Path) -> None:
    affine = np.array([[0, 0, -2.0, 5], [0, -1.5, 0, 7], [3.0, 0, 0, -9], [0, 0, 0, 1]])
    source = Grid((5, 6, 7), affine)
    labels = np.random.default_rng(0).integers(0, 3, source.shape).astype(np.uint8)
    turned, shown = to_canonical_axes(labels, source)
    painted = Painted("mine", np.asarray(turned), shown, origin(source), {})
    write_labels(tmp_path / "mine.nii.gz", painted)
    image = nib.load(tmp_path / "mine.nii.gz")
    assert np.array_equal(np.asarray(image.dataobj), labels)
    assert np.allclose(image.affine, np.diag([-1, -1, 1, 1]) @ affine)


def test_amount_counts_slices_and_refuses_an_empty_layer() -> None:
    grid = Grid((40, 8, 9), np.array(np.eye(4)[[2, 1, 0, 3]]))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    painted = Painted("mine", labels, grid, origin(grid), {})
    with pytest.raises(BadLabels, match="Nothing is painted"):
        amount(painted)
    labels[[5, 12, 20, 33], 2:5] = 2
    found = amount(painted)
    assert found.short == "4 of 40 axial slices"
    assert found.values == (2,)


def origin(grid: Grid) -> Origin:
    return Origin(Path("scan.nii.gz"), grid, "P-1234")
