"""Two label maps compared, held against loops over voxels and cases made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scanlearn.errors import BadRun
from scanlearn.prediction.label_difference import compared, difference, same_classes
from scanlearn.prediction.summary import FoundClass, Prediction
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.geometry import Grid

GRID = Grid((2, 3, 4), np.diag([-3.0, 2.0, 1.5, 1.0])[[2, 1, 0, 3]])


def predicted(folder: Path, run: str, voxels: object, classes: dict[int, str]):
    file = folder / f"{run}.nii.gz"
    if voxels is not None:
        write_nifti(file, np.asarray(voxels, dtype=np.uint8), GRID)
    return Prediction(
        run=run,
        task="segmentation",
        scan="scan",
        source="nifti",
        grid=GRID,
        folder=folder,
        labels=file if voxels is not None else None,
        probabilities=None,
        uncertainty=None,
        maps=(),
        tables=(),
        classes=tuple(FoundClass(v, n, 0.0) for v, n in classes.items()),
        lungs={},
        cautions=(),
        facts={},
    )


def test_classes_are_matched_by_name_not_by_value(tmp_path):
    mine, its = np.zeros((2, 3, 4)), np.zeros((2, 3, 4))
    mine[0, 0, :4] = 1  # lung
    mine[1, 0, :2] = 2  # lesion
    its[0, 0, :2] = 5  # lung
    its[1, 0, :2] = 1  # lesion
    its[1, 2, 3] = 2  # cyst, which the first does not know
    one = predicted(tmp_path, "one", mine, {1: "lung", 2: "lesion", 3: "never"})
    other = predicted(tmp_path, "other", its, {5: "lung", 1: "lesion", 2: "cyst"})
    found = compared(one, other)
    assert found.classes == {"lung": pytest.approx(4 / 6), "lesion": 1.0, "cyst": 0.0}
    assert found.value == pytest.approx(1 - (4 / 6 + 1 + 0) / 3)
    assert compared(other, one).value == pytest.approx(found.value)
    maps = same_classes(one, other)
    assert maps[2] == {1: "lung", 2: "lesion", 3: "never", 4: "cyst"}
    np.testing.assert_array_equal(maps[1][1], [[2, 2, 0, 0], [0] * 4, [0, 0, 0, 4]])
    apart = difference(*maps[:2])
    assert sorted(zip(*np.nonzero(apart), strict=True)) == [
        *((0, 0, 2), (0, 0, 3), (1, 2, 3))
    ]
    assert apart[1, 2, 3] == 2


def test_nothing_found_by_either_is_agreement(tmp_path):
    one = predicted(tmp_path, "one", np.zeros((2, 3, 4)), {1: "lung"})
    other = predicted(tmp_path, "other", np.zeros((2, 3, 4)), {1: "lung"})
    assert compared(one, other).value == 0.0
    assert compared(one, other).classes == {}


def test_what_makes_no_label_maps_is_told(tmp_path):
    one = predicted(tmp_path, "one", np.zeros((2, 3, 4)), {1: "lung"})
    other = predicted(tmp_path, "boxes", None, {})
    with pytest.raises(BadRun, match="boxes makes no label maps"):
        compared(one, other)


MAPS = arrays(np.uint8, (2, 3, 2), elements=st.integers(0, 3))


@given(MAPS, MAPS)
def test_a_difference_is_that_of_each_voxel(one, other):
    found = difference(one, other)
    for place in np.ndindex(one.shape):
        a, b = int(one[place]), int(other[place])
        expected = 0 if a == b else (1 if not b else 2 if not a else 3)
        assert found[place] == expected
