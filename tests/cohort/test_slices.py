"""Images and stacks of slices from cohorts of several kinds."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.slices import (
    Image,
    SliceCohorts,
    even,
    slice_cohorts,
    square_grid,
    squared,
)
from scanlearn.config.joint import JointConfig
from scanlearn.errors import BadCohort
from scanlearn.scans.files.picture import picture_grid


def test_every_sample_has_one_number_in_the_whole_training(mixed_cohorts) -> None:
    """Acceptance 5: no two sources share a slot."""
    found = SliceCohorts(mixed_cohorts, slices=8, images_a_volume=3)
    assert found.sources == ["chest (CT)", "heads (MR)", "films (DX)"]
    assert found.counts() == {
        "chest (CT)": (6, 18),
        "heads (MR)": (5, 15),
        "films (DX)": (0, 12),
    }
    assert len(found.images) == 45
    assert len({(i.cohort, i.record.key, i.index) for i in found.images}) == 45
    assert len({v.record.key for v in found.volumes}) == 11
    assert len(found.patients()) == 23


def test_what_is_read_is_what_the_cohort_holds(mixed_cohorts) -> None:
    found = SliceCohorts(mixed_cohorts, slices=8, images_a_volume=3)
    for item in (*found.volumes, *found.images):
        stored = Cohort(mixed_cohorts[item.cohort]).voxels(item.record.key)
        wanted = [item.index] if isinstance(item, Image) else list(item.indices)
        read = found.read(item)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, stored[wanted])
    lengths = [len(v.indices) for v in found.volumes]
    assert lengths == [8] * 6 + [5, 6, 7, 8, 8]


@given(size=st.integers(1, 300), most=st.integers(1, 100))
def test_slices_are_taken_evenly(size, most) -> None:
    taken = even(size, most)
    assert len(taken) == min(size, most)
    assert taken[0] >= 0
    assert taken[-1] < size
    gaps = np.diff(taken)
    if len(gaps):
        assert gaps.min() >= 1
        assert gaps.max() - gaps.min() <= 1
    # What is left over at either end differs by no more than a gap.
    assert abs(taken[0] - (size - 1 - taken[-1])) <= max(1, size // len(taken))


@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_squares_hold_the_whole_slice(height, width) -> None:
    slices = np.random.default_rng(0).random((2, height, width)).astype(np.float32)
    square = squared(slices, -7.0)
    side = max(height, width)
    assert square.shape == (2, side, side)
    assert np.isclose(square.sum(), slices.sum() - 14 * (side**2 - height * width))
    top, left = (side - height) // 2, (side - width) // 2
    np.testing.assert_array_equal(
        square[:, top : top + height, left : left + width], slices
    )


def test_one_patient_is_too_few(mixed_cohorts, tmp_path) -> None:
    copy = shutil.copytree(mixed_cohorts[1], tmp_path / "one")
    for sidecar in sorted((copy / "scans").glob("*.json"))[1:]:
        sidecar.unlink()
    with pytest.raises(BadCohort, match="1 patient"):
        slice_cohorts([copy], JointConfig())


@given(
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    side=st.integers(1, 90),
    spacing=st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)),
)
def test_a_square_keeps_its_outer_edges_whatever_its_pixels(
    rows, columns, side, spacing
) -> None:
    grid = picture_grid(rows, columns, spacing_mm=spacing)
    square = square_grid(grid, side)
    assert square.shape == (1, side, side)
    longest = max(rows, columns)
    top, left = (longest - rows) // 2, (longest - columns) // 2
    # Edges lie half a pixel outside of the first and the last pixel's centre.
    edges = [[0, -0.5, -0.5], [0, side - 0.5, side - 0.5]]
    wanted = [
        [0, -top - 0.5, -left - 0.5],
        [0, longest - top - 0.5, longest - left - 0.5],
    ]
    np.testing.assert_allclose(
        square.to_patient(edges), grid.to_patient(wanted), atol=1e-6
    )
