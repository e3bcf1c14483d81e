"""Which unpainted voxels are background, and maps brought onto a cohort's grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.cohort.labels.paint import (
    IGNORED,
    count_values,
    how_painted,
    on_cohort_grid,
    with_ignored,
)
from scanlearn.scans.geometry import Grid


def grid_of(shape: tuple[int, int, int], spacing=(1.0, 1.0, 1.0), first=(0, 0, 0)):
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:3, 3] = first
    affine[3, 3] = 1
    return Grid(shape, affine)


def painted(shape, slices, axis=0) -> np.ndarray:
    labels = np.zeros(shape, dtype=np.uint8)
    index: list = [slice(3, 9)] * 3
    for number in slices:
        index[axis] = number
        labels[tuple(index)] = 1
    return labels


@pytest.mark.parametrize(
    ("slices", "axis", "expected"),
    [
        ([3, 9, 15], 0, "slices"),
        ([3, 4, 9, 10], 0, "slices"),
        ([5], 0, "slices"),
        ([5], 2, "slices"),
        ([2, 7], 1, "slices"),
        ([5, 6], 0, "dense"),
        ([3, 4, 5, 9], 0, "dense"),
        (range(4, 12), 0, "dense"),
    ],
)
def test_a_few_painted_slices_are_told_from_a_painted_object(
    slices, axis, expected
) -> None:
    labels = painted((20, 20, 20), slices, axis)
    how = how_painted(labels, grid_of(labels.shape))
    assert how.labelling == expected
    if expected == "slices":
        assert (how.axis, how.painted, how.slices) == (axis, len(slices), 20)
        assert how.plane == ("axial", "coronal", "sagittal")[axis]
        assert f"{len(slices)} of 20" in how.text


def test_one_slice_of_a_thin_volume_is_dense() -> None:
    labels = painted((8, 20, 20), [4])
    assert how_painted(labels, grid_of(labels.shape)).labelling == "dense"


def test_what_nobody_labelled_is_ignored() -> None:
    labels = painted((20, 20, 20), [3, 9])
    grid = grid_of(labels.shape)
    for labelling, ignored in (("dense", 0), ("slices", 18 * 400), ("scribbles", None)):
        how = how_painted(labels, grid, labelling=labelling)
        out = with_ignored(labels, how)
        expected = (labels == 0).sum() if ignored is None else ignored
        assert np.count_nonzero(out == IGNORED) == expected
        assert count_values(out) == {1: 72}
    assert labels.max() == 1


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 18),
    st.sampled_from([0.5, 0.7, 1.0, 1.4, 2.0, 3.1]),
    st.floats(-0.5, 0.5),
    st.sampled_from([0, 1, 2]),
)
def test_a_painted_slice_is_never_lost(number, step, shift, axis) -> None:
    labels = painted((20, 20, 20), [number], axis)
    grid = grid_of(labels.shape)
    how = how_painted(labels, grid, labelling="slices")
    count = math.ceil((19.5 - shift) / step + 0.5)  # covers the last slice, too
    target = grid_of((count,) * 3, (step,) * 3, (shift,) * 3)
    mapped = on_cohort_grid(with_ignored(labels, how), grid, target)
    centres = target.to_patient(np.argwhere(mapped != IGNORED))
    assert len(centres)
    # What counts lies within the slab that a coarser voxel cannot step over.
    gap = np.abs(centres[:, 2 - axis] - number).max()
    assert gap <= max(0, np.ceil((step - 1) / 2)) + 0.5 + 1e-6
    assert set(np.unique(mapped)) <= {0, 1, IGNORED}


def test_on_the_same_grid_nothing_changes_and_beyond_nothing_is_known() -> None:
    labels = painted((20, 20, 20), [3, 9])
    grid = grid_of(labels.shape)
    np.testing.assert_array_equal(on_cohort_grid(labels, grid, grid), labels)
    wider = grid_of((24, 20, 20), first=(0, 0, -2))
    mapped = on_cohort_grid(labels, grid, wider)
    assert (mapped[:2] == IGNORED).all()
    assert (mapped[-2:] == IGNORED).all()
    np.testing.assert_array_equal(mapped[2:-2], labels)
