"""The phantom is what it says it is."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.ndimage import label as components

from scanlearn.phantom.chest import Disease, Phantom, make_chest
from scanlearn.phantom.emphysema import SUBTYPES
from scanlearn.phantom.noise import scan_with

COARSE = (5.0, 4.0, 4.0)


@cache
def sick(subtype: str, percent: float, *, nodules: int = 0) -> Phantom:
    """One patient without noise, with a chosen disease."""
    return make_chest(
        5,
        3,
        spacing_mm=(2.5, 2.0, 2.0),
        kernel="standard",
        dose="none",
        disease=Disease(nodules, subtype, percent),
    )


def test_equal_arguments_give_equal_voxels_and_truth():
    one, two = (make_chest(1, 4, spacing_mm=COARSE) for _ in range(2))
    assert np.array_equal(one.scan.voxels, two.scan.voxels)
    assert one.scan.grid.matches(two.scan.grid)
    assert one.nodules == two.nodules
    assert one.outcome == two.outcome
    assert one.emphysema == two.emphysema
    for kind in one.truth:
        assert np.array_equal(one.truth[kind], two.truth[kind])


@pytest.mark.parametrize(("seed", "patient"), [(2, 4), (1, 8)])
def test_another_seed_or_number_gives_another_patient(seed, patient):
    one, other = (
        make_chest(1, 4, spacing_mm=COARSE),
        make_chest(seed, patient, spacing_mm=COARSE),
    )
    assert not one.scan.grid.matches(other.scan.grid)
    assert not np.array_equal(one.truth["lungs"], other.truth["lungs"])


@pytest.mark.parametrize("patient", [1, 3, 6, 11])
def test_lungs_have_the_volume_and_sides_of_lungs(patient):
    phantom = make_chest(0, patient, spacing_mm=COARSE)
    grid, lungs = phantom.scan.grid, phantom.truth["lungs"]
    assert grid.is_canonical
    assert phantom.scan.voxels.dtype == np.int16
    assert 2 < np.count_nonzero(lungs) * grid.voxel_ml / 1000 < 8
    right, left = (
        grid.to_patient(np.argwhere(lungs == side).mean(axis=0)) for side in (1, 2)
    )
    assert right[0] < left[0]  # LPS: x grows to the left
    assert not lungs[[0, -1]].any()
    assert -900 < np.median(phantom.scan.voxels[lungs > 0]) < -800


def test_each_lung_is_one_piece_and_all_of_it_is_in_a_lobe():
    truth = make_chest(0, 1, spacing_mm=COARSE).truth
    for side, lobes in ((1, {1, 2, 3}), (2, {4, 5})):
        inside = truth["lungs"] == side
        sizes = np.bincount(components(inside)[0].ravel())[1:]
        assert sizes.max() > 0.99 * inside.sum()
        assert set(np.unique(truth["lobes"][inside])) == lobes
    assert np.array_equal(truth["lobes"] > 0, truth["lungs"] > 0)


def test_lobes_lie_in_their_anatomical_order():
    phantom = make_chest(0, 1, spacing_mm=COARSE)
    middle = {
        lobe: phantom.scan.grid.to_patient(
            np.argwhere(phantom.truth["lobes"] == lobe).mean(axis=0)
        )
        for lobe in range(1, 6)
    }
    assert middle[1][2] > middle[2][2]  # upper above middle
    assert middle[1][2] > middle[3][2]
    assert middle[4][2] > middle[5][2]
    assert middle[2][1] < middle[3][1]  # middle in front of lower


def test_the_same_body_is_drawn_at_any_spacing():
    coarse, fine = (
        sick("none", 0),
        make_chest(
            5, 3, spacing_mm=(5, 4, 4), dose="none", disease=Disease(0, "none", 0)
        ),
    )
    volumes = [
        np.count_nonzero(p.truth["lungs"]) * p.scan.grid.voxel_ml
        for p in (coarse, fine)
    ]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.01)
    index = np.argwhere(fine.truth["lungs"] >= 0)[::97]
    at = np.rint(coarse.scan.grid.to_index(fine.scan.grid.to_patient(index))).astype(
        int
    )
    ok = ((at >= 0) & (at < coarse.scan.grid.shape)).all(axis=1)
    same = (
        coarse.truth["lungs"][tuple(at[ok].T)]
        == fine.truth["lungs"][tuple(index[ok].T)]
    )
    assert same.mean() > 0.985


def test_tissues_have_their_density():
    phantom = sick("none", 0)
    hu, lungs = phantom.scan.voxels, phantom.truth["lungs"]
    counts, edges = np.histogram(hu[hu > -300], bins=np.arange(-305, 700, 10))
    peaks = edges[:-1][(counts > np.roll(counts, 1)) & (counts > np.roll(counts, -1))]
    assert np.abs(peaks - -98).min() < 12  # fat
    assert np.abs(peaks - 50).min() < 12  # muscle, blood, liver
    assert 0.005 < (hu[hu > -300] > 300).mean() < 0.12  # bone
    assert np.median(hu[lungs > 0]) == pytest.approx(-865, abs=30)
    assert np.median(hu[:, :8]) == -1000  # air in front of the patient


def test_lung_is_denser_at_the_back():
    phantom = sick("none", 0)
    hu, lungs = phantom.scan.voxels, phantom.truth["lungs"] > 0
    y = np.broadcast_to(np.arange(hu.shape[1])[None, :, None], hu.shape)[lungs]
    front, back = np.quantile(y, [0.25, 0.75])
    assert np.median(hu[lungs][y > back]) > np.median(hu[lungs][y < front]) + 10


def test_nodules_are_where_and_as_big_as_they_say():
    phantom = sick("none", 0, nodules=4)
    grid, mask = phantom.scan.grid, phantom.truth["nodules"]
    pieces, count = components(mask)
    assert count == len(phantom.nodules) == 4
    for nodule in phantom.nodules:
        index = grid.to_index(nodule.centre_mm)
        piece = pieces == pieces[tuple(np.rint(index).astype(int))]
        centroid = np.argwhere(piece).mean(axis=0)
        assert np.abs(centroid - index).max() < 0.5
        sphere = np.pi / 6 * nodule.diameter_mm**3 / 1000
        tolerance = 0.5 if nodule.diameter_mm < 8 else 0.1
        assert piece.sum() * grid.voxel_ml == pytest.approx(sphere, rel=tolerance)
        assert (phantom.truth["lungs"][piece] > 0).all()
        if nodule.diameter_mm > 8:
            core = phantom.scan.voxels[tuple(np.rint(index).astype(int))]
            assert core == pytest.approx(35, abs=25)


@pytest.mark.parametrize(
    ("subtype", "percent", "low", "high"),
    [
        ("centrilobular", 12.0, -995, -930),
        ("paraseptal", 4.0, -1000, -940),
        ("panlobular", 30.0, -975, -940),
    ],
)
def test_emphysema_has_its_extent_and_density(subtype, percent, low, high):
    phantom = sick(subtype, percent)
    label, lungs = phantom.truth["emphysema"], phantom.truth["lungs"]
    assert set(np.unique(label)) == {0, SUBTYPES[subtype]}
    assert not label[lungs == 0].any()
    assert phantom.emphysema.percent == pytest.approx(percent, rel=0.08)
    counted = 100 * (label[lungs == 1] > 0).mean()
    assert phantom.emphysema.right_percent == pytest.approx(counted)
    assert low < np.median(phantom.scan.voxels[label > 0]) < high
    other = phantom.scan.voxels[(lungs > 0) & (label == 0)]
    assert np.median(other) > -905


def test_subtypes_lie_where_they_belong():
    def height(subtype: str, percent: float) -> float:
        phantom = sick(subtype, percent)
        k = np.argwhere(phantom.truth["emphysema"])[:, 0].mean()
        lungs = np.argwhere(phantom.truth["lungs"])[:, 0]
        return float((k - lungs.mean()) / lungs.std())

    assert height("centrilobular", 12.0) > 0.2
    assert height("panlobular", 30.0) < -0.2


def test_low_attenuation_grows_with_extent():
    def laa(subtype: str, percent: float) -> float:
        phantom = sick(subtype, percent)
        return float((phantom.scan.voxels[phantom.truth["lungs"] > 0] < -950).mean())

    none = laa("none", 0)
    assert none < 0.02
    assert none < laa("centrilobular", 4.0) < laa("centrilobular", 12.0)
    assert none < laa("panlobular", 15.0) < laa("panlobular", 30.0)


def test_sharper_kernels_and_lower_doses_are_noisier():
    def noise(kernel: str, dose: str) -> float:
        image = np.zeros((3, 200, 200), np.float32)
        rng = np.random.default_rng(0)
        scan_with(image, (2.5, 1.6, 1.6), rng, kernel=kernel, dose=dose)
        return float(image.std())

    assert noise("soft", "none") == 0
    assert 5 < noise("soft", "standard") < 15
    assert noise("soft", "standard") * 2 < noise("sharp", "standard")
    assert noise("sharp", "standard") < noise("sharp", "low")


def test_a_soft_kernel_blurs_and_a_sharp_one_overshoots():
    def edge(kernel: str) -> np.ndarray:
        image = np.zeros((1, 60, 60), np.float32)
        image[:, 30:] = 100
        rng = np.random.default_rng(0)
        scan_with(image, (1.0, 0.7, 0.7), rng, kernel=kernel, dose="none")
        return image[0, :, 30]

    soft, standard, sharp = (edge(k) for k in ("soft", "standard", "sharp"))
    assert np.diff(soft).max() < np.diff(standard).max() < np.diff(sharp).max()
    assert soft.max() <= 100.01
    assert sharp.max() > 105
