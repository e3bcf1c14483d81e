"""Registration against known maps, finite differences and SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as everybody writes it
from scipy import ndimage
from scipy.spatial.transform import Rotation

from scanlearn.anatomy import registration
from scanlearn.anatomy.label_mask import LabelMask, blurred
from scanlearn.anatomy.lungs import lung_mask
from scanlearn.anatomy.registration import AffineMap, AtlasShape, moments_map
from scanlearn.scans.read import read_scan


def landmarks_in(labels: LabelMask) -> np.ndarray:
    """Return points of a 26 mm grid inside the labels."""
    axes = [np.arange(a, b, 26) for a, b in zip(*labels.bounds_mm(), strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points[labels.at(points) > 0]


def error_mm(found: AffineMap, matrix: np.ndarray, points: np.ndarray) -> float:
    truth = points @ matrix[:3, :3].T + matrix[:3, 3]
    return float(np.linalg.norm(found(points) - truth, axis=1).mean())


def test_known_maps_of_phantom_lungs_are_recovered(
    phantom_lungs, warped, random_affine
) -> None:
    """T12: up to 6 degrees, 15 per cent and 30 mm, to less than a millimetre."""
    rng = np.random.default_rng(12)
    for labels in phantom_lungs:
        atlas, points = AtlasShape(labels), landmarks_in(labels)
        matrix = random_affine(rng, labels.moments()[0])
        patient = warped(labels, matrix)
        assert error_mm(atlas.register(patient), matrix, points) < 0.5
        assert error_mm(moments_map(labels, patient), matrix, points) > 1.5


@pytest.mark.parametrize("name", ["LIDC-IDRI-0001", "Lung_Dx-A0002_B40f"])
def test_known_maps_of_real_lungs_are_recovered(
    real_data, name, warped, random_affine
) -> None:
    found = lung_mask(read_scan(real_data / "chest_ct" / name).canonical())
    labels = LabelMask(found.mask, found.grid)
    atlas, points = AtlasShape(labels), landmarks_in(labels)
    rng = np.random.default_rng(7)
    matrix = random_affine(rng, labels.moments()[0])
    found_map = atlas.register(warped(labels, matrix))
    assert error_mm(found_map, matrix, points) < 0.5


def test_simpleitk_finds_the_same_map(phantom_lungs, warped, random_affine) -> None:
    labels = phantom_lungs[0]
    matrix = random_affine(np.random.default_rng(3), labels.moments()[0])
    patient = warped(labels, matrix)
    start = moments_map(labels, patient)

    def image(one: LabelMask) -> sitk.Image:
        parts, grid = one.parts(margin_mm=20)
        volume = 50 * parts[0] + 100 * parts[1]
        picture = sitk.GetImageFromArray(ndimage.gaussian_filter(volume, 1))
        picture.SetSpacing(grid.spacing_mm[::-1])
        picture.SetOrigin(grid.affine[:3, 3].tolist())
        return picture

    transform = sitk.AffineTransform(3)
    transform.SetMatrix(start.stretch.ravel().tolist())
    transform.SetCenter(start.middle.tolist())
    transform.SetTranslation((start.centre - start.middle).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.3)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, 120)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(image(labels), image(patient))

    points = landmarks_in(labels)
    theirs = np.array([transform.TransformPoint(point) for point in points.tolist()])
    ours = AtlasShape(labels).register(patient)(points)
    assert np.linalg.norm(ours - theirs, axis=1).mean() < 1.5


def test_two_patients_are_matched_better_than_by_moments(phantom_lungs) -> None:
    atlas, patient = phantom_lungs[0], phantom_lungs[1]
    found, start = AtlasShape(atlas).register(patient), moments_map(atlas, patient)
    where = atlas.grid.to_patient(np.argwhere(atlas.mask > 0)[::7])
    own = atlas.at(where)
    agreement = [(patient.at(one(where)) == own).mean() for one in (found, start)]
    assert agreement[0] > agreement[1]
    assert agreement[0] > 0.9


def test_the_ridge_holds_what_labels_do_not_ask_for(phantom_lungs, monkeypatch) -> None:
    """A third of both lungs is all that is seen: shear is hardly determined."""
    atlas, whole = phantom_lungs[0], phantom_lungs[2]
    cut = whole.mask.copy()
    cut[: cut.shape[0] * 2 // 3] = 0
    patient = LabelMask(cut, whole.grid)

    def shear() -> float:
        stretch = AtlasShape(atlas).register(patient).stretch
        return float(np.abs(stretch[np.triu_indices(3, 1)]).sum())

    held = shear()
    monkeypatch.setattr(registration, "_RIDGE", 0.0)
    assert held < shear()


def test_interpolation_is_that_of_scipy_and_its_slope_is_exact(phantom_lungs) -> None:
    parts, grid = phantom_lungs[0].parts(margin_mm=8)
    image = np.moveaxis(blurred(parts, grid, 6.0), 0, -1).copy()
    rng = np.random.default_rng(0)
    low, high = grid.bounds_mm()
    places = rng.uniform(low + 1, high - 1, (200, 3))
    values, slope = registration._sampled(image, grid, places)
    for label in range(2):
        expected = ndimage.map_coordinates(
            image[..., label], grid.to_index(places).T, order=1
        )
        np.testing.assert_allclose(values[:, label], expected, atol=1e-5)
    step = 1e-3
    for axis in range(3):
        ends = [places + sign * step * np.eye(3)[axis] for sign in (1, -1)]
        up, down = (registration._sampled(image, grid, end)[0] for end in ends)
        numeric = (up - down) / (2 * step)
        # Where a difference straddles two voxels the slope has a kink.
        agree = np.abs(numeric - slope[..., axis]) < 1e-3
        assert agree.mean() > 0.98
    outside = registration._sampled(image, grid, high[None] + 5)
    assert not outside[0].any()
    assert not outside[1].any()


def test_the_equations_are_the_derivatives_of_the_cost(phantom_lungs) -> None:
    atlas, patient = phantom_lungs[0], phantom_lungs[1]
    shape = AtlasShape(atlas)
    points, wanted = shape._levels[0]
    parts, grid = patient.parts(margin_mm=20)
    image = np.moveaxis(blurred(parts, grid, 10.0), 0, -1).copy()
    start = moments_map(atlas, patient)
    turn = Rotation.from_euler("xyz", [4, -3, 5], degrees=True).as_matrix()
    skew = np.array([[0, 0.05, -0.02], [0.05, 0, 0.03], [-0.02, 0.03, 0]])
    found = AffineMap(
        start.middle, start.centre, np.array([2.0, -3, 4]), turn, start.stretch + skew
    )

    def cost(step: np.ndarray) -> float:
        moved = registration._moved(found, step)
        return registration._equations(moved, image, grid, points, wanted)[0]

    _, normal, slope = registration._equations(found, image, grid, points, wanted)
    assert np.linalg.eigvalsh(normal).min() > 0
    for number in range(12):
        step = np.zeros(12)
        step[number] = 1e-3 if number < 3 else 1e-5
        numeric = (cost(step) - cost(-step)) / (2 * step[number])
        # The cost is a mean of squares: its derivative is twice J^T r.
        assert 2 * slope[number] == pytest.approx(numeric, rel=0.02, abs=1e-4)


def test_an_empty_mask_is_refused(phantom_lungs) -> None:
    atlas = phantom_lungs[0]
    nothing = LabelMask(np.zeros_like(atlas.mask), atlas.grid)
    with pytest.raises(ValueError, match="empty"):
        AtlasShape(atlas).register(nothing)
