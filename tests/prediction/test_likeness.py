"""Likeness by cosines, held against loops over cells and cases made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scanlearn.errors import BadScan
from scanlearn.prediction.representation.likeness import (
    UNKNOWN,
    FeatureMap,
    lit,
    read_feature_map,
)
from scanlearn.scans.geometry import Grid

#: Array axes run along z, y and x; cells of 8 x 4 x 4 mm from (10, 20, 30).
GRID = Grid(
    (3, 4, 5),
    np.array([[0, 0, 4, 10], [0, 4, 0, 20], [8, 0, 0, 30], [0, 0, 0, 1]], dtype=float),
)


@pytest.fixture
def dense() -> tuple[np.ndarray, np.ndarray]:
    """Return random features and which of them are known."""
    random = np.random.default_rng(0)
    features = random.normal(size=(6, 3, 4, 5)).astype(np.float32)
    known = random.random((3, 4, 5)) < 0.7
    return features, known


def test_every_cell_has_the_cosine_of_its_vector(dense):
    features, known = dense
    found = FeatureMap.of(features, known, GRID)
    cell = tuple(np.argwhere(known)[3])
    vector = found.at(GRID.to_patient(np.array(cell, dtype=float)))
    likeness = found.likeness(vector)
    asked = features[(slice(None), *cell)]
    for place in np.ndindex(GRID.shape):
        if not known[place]:
            assert likeness[place] == UNKNOWN
            continue
        mine = features[(slice(None), *place)]
        cosine = mine @ asked / np.linalg.norm(mine) / np.linalg.norm(asked)
        assert likeness[place] == pytest.approx(cosine, abs=1e-5)
    assert likeness[cell] == pytest.approx(1, abs=1e-6)


def test_a_place_takes_the_nearest_known_patch_but_not_one_far_away(dense):
    features, _ = dense
    known = np.zeros(GRID.shape, dtype=bool)
    known[0, 0, 0] = known[0, 0, 2] = True
    found = FeatureMap.of(features, known, GRID)
    first, second = found.vectors
    np.testing.assert_array_equal(found.at((10 + 3, 20, 30)), first)
    np.testing.assert_array_equal(found.at((10 + 9, 20, 30)), second)
    with pytest.raises(BadScan, match="No features are known"):
        found.at((10, 20, 30 + 8 * 2.5))
    nothing = FeatureMap.of(features, np.zeros(GRID.shape, dtype=bool), GRID)
    with pytest.raises(BadScan, match="No features are known"):
        nothing.at((10, 20, 30))


def test_a_written_map_reads_back(dense, tmp_path: Path):
    found = FeatureMap.of(*dense, GRID)
    found.save(tmp_path / "a_features.npz")
    again = read_feature_map(tmp_path / "a_features.npz")
    assert again.grid.matches(GRID)
    np.testing.assert_array_equal(again.cells, found.cells)
    vector = found.vectors[0]
    far = np.abs(again.likeness(vector) - found.likeness(vector)).max()
    assert far < 2e-3
    lengths = np.linalg.norm(again.vectors, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_what_is_lit_lies_where_its_cells_are():
    likeness = np.full(GRID.shape, UNKNOWN, dtype=np.float32)
    likeness[1, 2, 3] = 0.9
    shown = Grid((24, 16, 20), GRID.affine @ np.diag([1 / 8, 1 / 4, 1 / 4, 1]))
    found = lit(likeness, GRID, shown, 0.5)
    places = shown.to_patient(np.argwhere(found).astype(float))
    centre = GRID.to_patient(np.array([1.0, 2.0, 3.0]))
    assert found[8, 8, 12]
    np.testing.assert_allclose(places.mean(axis=0), centre, atol=0.6)
    # It reaches half way to its neighbours.
    reach = np.abs(places - centre).max(axis=0)
    np.testing.assert_allclose(reach, [2, 2, 4])
    assert not lit(likeness, GRID, shown, 0.95).any()
