"""Resampling against SimpleITK and scipy, over random grids."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from scanlearn.scans.geometry import Grid
from scanlearn.scans.resample import resample

INTERPOLATORS = {
    0: SimpleITK.sitkNearestNeighbor,
    1: SimpleITK.sitkLinear,
    3: SimpleITK.sitkBSpline,
}
OUTSIDE = -777.0


def itk_resample(voxels, source, target, order):
    """Resample with ITK in index space, which takes any affine, sheared or not."""
    image = SimpleITK.GetImageFromArray(voxels.transpose(2, 1, 0).astype(np.float64))
    to_source = np.linalg.inv(source.affine) @ target.affine
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(to_source[:3, :3].ravel().tolist())
    transform.SetTranslation(to_source[:3, 3].tolist())
    filtered = SimpleITK.Resample(
        image,
        list(target.shape),
        transform,
        INTERPOLATORS[order],
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        np.eye(3).ravel().tolist(),
        OUTSIDE,
    )
    return SimpleITK.GetArrayFromImage(filtered).transpose(2, 1, 0)


def scipy_resample(voxels, source, target, order):
    """Resample with scipy, point by point."""
    to_source = np.linalg.inv(source.affine) @ target.affine
    index = np.indices(target.shape).reshape(3, -1)
    x = to_source[:3, :3] @ index + to_source[:3, 3:]
    mode = "mirror" if order == 3 else "nearest"
    values = ndimage.map_coordinates(voxels, x, order=order, mode=mode)
    size = np.array(source.shape)[:, None]
    inside = ((x >= -0.5) & (x < size - 0.5)).all(axis=0)
    return np.where(inside, values, OUTSIDE).reshape(target.shape)


def noise(shape, seed=0, dtype=np.float32):
    values = np.random.default_rng(seed).normal(0, 400, shape)
    return np.round(values).astype(dtype)


def aligned_affine(order, signs, spacing, origin):
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(order)] * np.array(signs) * np.array(spacing)
    affine[:3, 3] = origin
    return affine


spacings = st.tuples(*[st.floats(0.4, 3.0)] * 3)
# ITK mirrors wrongly beyond the end of an axis of two samples.
sizes = st.tuples(*[st.integers(1, 14).filter(lambda n: n != 2)] * 3)
origins = st.tuples(*[st.floats(-9, 9)] * 3)
signs = st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)
aligned = st.builds(
    lambda n, a, s, sp, o: Grid(n, aligned_affine(a, s, sp, o)),
    sizes,
    st.permutations(range(3)),
    signs,
    spacings,
    origins,
)


def turned(grid, angles, shear):
    rotation = np.eye(4)
    rotation[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix()
    tilt = np.eye(4)
    tilt[0, 1] = shear
    return Grid(grid.shape, rotation @ grid.affine @ tilt)


oblique = st.builds(
    turned, aligned, st.tuples(*[st.floats(-0.6, 0.6)] * 3), st.floats(-0.4, 0.4)
)


def assert_agrees(source, target, order, *, atol, oracle=itk_resample):
    voxels = noise(source.shape)
    ours = resample(voxels, source, target, order=order, outside=OUTSIDE)
    theirs = oracle(voxels, source, target, order)
    # A point on the very border, or half-way between two voxels, falls either way with
    # rounding noise of 1e-12.
    x = np.linalg.inv(source.affine) @ target.affine
    index = np.moveaxis(np.indices(target.shape), 0, -1)
    x = index @ x[:3, :3].T + x[:3, 3]
    edge = np.abs(np.abs(x % 1 - 0.5)) < 1e-5
    sure = ~edge.any(axis=-1)
    np.testing.assert_allclose(ours[sure], theirs[sure], atol=atol)


@pytest.mark.parametrize("order", [0, 1, 3])
@settings(max_examples=40, deadline=None)
@given(source=aligned, target=aligned)
def test_common_axes_agree_with_itk(order, source, target):
    assert_agrees(source, target, order, atol=0.05)


@pytest.mark.parametrize("order", [0, 1, 3])
@settings(max_examples=40, deadline=None)
@given(source=oblique, target=aligned)
def test_oblique_and_sheared_agree_with_scipy(order, source, target):
    assert_agrees(source, target, order, atol=0.05, oracle=scipy_resample)


def axial(shape, spacing, origin=(0.0, 0.0, 0.0)):
    return Grid(shape, aligned_affine((2, 1, 0), (1, 1, 1), spacing, origin))


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_many_blocks_agree_with_itk(order, flip):
    source = axial((150, 20, 90), (1.0, 0.8, 0.7))
    affine = aligned_affine((2, 1, 0), (flip, 1, -flip), (0.63, 1.3, 0.5), (0, 0, 0))
    affine[:3, 3] = source.centre - affine[:3, :3] @ (np.array((200, 12, 140)) / 2)
    assert_agrees(source, Grid((200, 12, 140), affine), order, atol=0.05)


def test_strong_magnification_of_the_first_axis_agrees_with_itk():
    source = axial((9, 5, 6), (10.0, 1.0, 1.0))
    assert_agrees(source, axial((600, 5, 6), (0.13, 1.1, 0.9)), 3, atol=0.05)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32, np.float64])
def test_types_are_kept_and_integers_rounded_and_clipped(dtype):
    source = axial((6, 12, 12), (1, 1, 1))
    values = (noise(source.shape) > 0) * (250 if dtype == np.uint8 else 3000)
    voxels = values.astype(dtype)
    target = axial((6, 18, 18), (1, 0.6, 0.6))
    out = resample(voxels, source, target, order=3, outside=0)
    assert out.dtype == dtype
    exact = resample(voxels.astype(np.float64), source, target, order=3, outside=0)
    if dtype != np.float64:
        limits = np.iinfo(dtype)
        exact = np.clip(np.rint(exact), limits.min, limits.max)
    assert np.abs(out.astype(np.float64) - exact).max() <= (dtype != np.float64)
    assert (np.abs(out.astype(np.float64) - exact) > 1e-9).mean() < 1e-2


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_turned_grids_are_gathered_exactly(order, dtype):
    source = axial((5, 6, 7), (2.5, 0.7, 0.8), (-100.3, 33.3, 12.1))
    affine = source.affine[:, [1, 2, 0, 3]].copy()
    affine[:3, 3] += affine[:3, 0] * 5
    affine[:3, 0] *= -1
    voxels = noise(source.shape, dtype=dtype)
    out = resample(voxels, source, Grid((6, 7, 5), affine), order=order, outside=0)
    np.testing.assert_array_equal(out, voxels.transpose(1, 2, 0)[::-1])


def test_a_blur_against_aliasing_keeps_the_mean_and_removes_stripes():
    source = axial((4, 64, 64), (1, 1, 1))
    target = axial((4, 20, 20), (1, 3, 3), (1.0, 1.0, 0))
    stripes = np.full(source.shape, 50.0, np.float32)
    stripes[:, :, ::2] = 150
    for grid in (target, Grid(target.shape, target.affine + 1e-3 * np.eye(4, k=1))):
        plain = resample(stripes, source, grid, order=1, outside=0)
        blurred = resample(stripes, source, grid, order=1, outside=0, antialias=True)
        assert np.ptp(plain) > 90
        np.testing.assert_allclose(blurred[:, 2:-2, 2:-2], 100, atol=1.5)


def test_wrong_orders_and_shapes_are_errors():
    grid = axial((2, 3, 4), (1, 1, 1))
    with pytest.raises(ValueError, match="order"):
        resample(np.zeros(grid.shape), grid, grid, order=2, outside=0)
    with pytest.raises(ValueError, match="fill"):
        resample(np.zeros((2, 3, 5)), grid, grid, order=1, outside=0)


@pytest.mark.parametrize("dtype", ["bool", ">i2", "<i2", "float16", "uint16", "int64"])
@pytest.mark.parametrize("order", [0, 1])
def test_any_type_is_resampled_alike_on_common_and_oblique_axes(dtype, order):
    source = axial((6, 9, 8), (1, 1, 1))
    voxels = (noise(source.shape) > 0).astype(dtype)
    target = axial((6, 7, 7), (1, 1.17, 1.17))
    # A tilt too small to matter, but too large to pass as parallel.
    tilted = Grid(target.shape, target.affine + 1e-4 * np.eye(4, k=1) * (1, 1, 1, 0))
    ours = resample(voxels, source, target, order=order, outside=0)
    general = resample(voxels, source, tilted, order=order, outside=0)
    assert ours.dtype == general.dtype == np.dtype(dtype)
    gap = np.abs(ours.astype(float) - general.astype(float))
    assert (gap > 0.01).mean() < 0.02
