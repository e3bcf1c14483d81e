"""How far lungs may be diseased before masks and locations suffer.

The threshold mask leaves dense disease out; what is held here is that the rest of the
lung is still found and that landmarks hardly move.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from scanlearn.anatomy.default_lungs import default_lungs
from scanlearn.anatomy.frames import frame_of_mask
from scanlearn.anatomy.label_mask import LabelMask
from scanlearn.anatomy.landmarks import Atlas, make_atlas
from scanlearn.anatomy.lungs import lung_mask
from scanlearn.anatomy.placement import Placement, place
from scanlearn.phantom.chest import Phantom, make_chest
from scanlearn.randomness import numpy_generator


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_chest(0, 1, spacing_mm=(4, 3, 3))


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return make_atlas(
        default_lungs(), kind="lungs", patch_mm=32, step_mm=26, least_fraction=0.1
    )


def places(phantom: Phantom) -> NDArray:
    shape = phantom.scan.grid.shape
    return phantom.scan.grid.to_patient(np.moveaxis(np.indices(shape), 0, -1))


def found_in(
    phantom: Phantom, atlas: Atlas, diseased: NDArray, hu: float
) -> tuple[NDArray, Placement]:
    """Paint disease; return the mask at the phantom's voxels, and the placement."""
    voxels = phantom.scan.voxels.copy()
    noise = numpy_generator(0, "disease").normal(0, 15, np.count_nonzero(diseased))
    voxels[diseased] = (hu + noise).astype(voxels.dtype)
    lungs = lung_mask(replace(phantom.scan, voxels=voxels))
    labels = LabelMask(lungs.mask, lungs.grid)
    box = frame_of_mask(lungs.mask > 0, lungs.grid, kind="lungs")
    return labels.at(places(phantom)), place(atlas, labels, box)


@pytest.mark.parametrize(
    ("kind", "size", "most_mm"),
    [("consolidation", 25, 2), ("consolidation", 60, 3), ("effusion", 0.3, 8)],
)
def test_what_is_not_diseased_is_found_and_landmarks_stay(
    phantom, atlas, kind, size, most_mm
) -> None:
    right = phantom.truth["lungs"] == 1
    points = places(phantom)
    if kind == "consolidation":
        middle = points[right].mean(axis=0)
        diseased = right & (np.linalg.norm(points - middle, axis=-1) < size)
    else:  # what lies lowest in a patient on the back, and at the base
        depth = points[..., 1] - 0.5 * points[..., 2]
        diseased = right & (depth > np.quantile(depth[right], 1 - size))
    before, healthy = found_in(phantom, atlas, np.zeros_like(right), 0)
    after, placed = found_in(phantom, atlas, diseased, 30)
    spared = right & ~diseased
    assert (after[spared] == 1).mean() > 0.9
    left = phantom.truth["lungs"] == 2
    assert (after[left] == 2).mean() > (before[left] == 2).mean() - 0.01
    moved = placed.to_patient(atlas.landmarks) - healthy.to_patient(atlas.landmarks)
    assert np.linalg.norm(moved, axis=1).mean() < most_mm
    assert placed.method == "affine"
    assert placed.is_usable


def test_half_a_lung_lost_is_said(phantom, atlas) -> None:
    right = phantom.truth["lungs"] == 1
    depth = places(phantom)[..., 1] - 0.5 * places(phantom)[..., 2]
    diseased = right & (depth > np.quantile(depth[right], 0.4))
    _, placed = found_in(phantom, atlas, diseased, 10)
    assert placed.problems
