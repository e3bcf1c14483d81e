from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scanlearn.features.handmade import histogram_features, texture_features
from scanlearn.features.linear import fit_logistic


def test_a_histogram_counts_every_voxel_of_a_patch():
    rng = np.random.default_rng(0)
    patches = rng.normal(-800, 300, (5, 9, 7))
    found = histogram_features(patches)
    edges = [-np.inf, *np.arange(-1010, -449, 20), np.inf]
    for patch, row in zip(patches, found, strict=True):
        counts = [
            ((patch > low) & (patch <= high)).sum() for low, high in pairwise(edges)
        ]
        assert sum(counts) == 63  # vessels and air beyond the bins are counted, too
        assert row**2 * 63 == pytest.approx(counts, abs=1e-3)


def test_texture_is_the_quantiles_of_derivatives_of_one_patch():
    rng = np.random.default_rng(1)
    patches = rng.normal(-850, 40, (3, 31, 31)).astype(np.float32)
    patches[:, 3, 4] = 300  # a vessel counts as the densest lung
    found = texture_features(patches).reshape(3, 3, 5, 5)
    patch = np.minimum(patches[1], -400)
    levels = (5, 25, 50, 75, 95)
    smooth = ndimage.gaussian_filter(patch, 1.2, mode="nearest")
    assert found[1, 1, 0] == pytest.approx(np.percentile(smooth, levels), rel=1e-4)
    laplace = ndimage.gaussian_laplace(patch, 1.2, mode="nearest")
    assert found[1, 1, 2] == pytest.approx(np.percentile(laplace, levels), abs=1.5)
    along = [
        ndimage.gaussian_filter(patch, 1.2, order=order, mode="nearest")
        for order in ((2, 0), (1, 1), (0, 2))
    ]
    hessian = np.stack([along[0], along[1], along[1], along[2]], axis=-1)
    roots = np.linalg.eigvalsh(hessian.reshape(-1, 2, 2))
    for place, values in ((3, roots[:, 1]), (4, roots[:, 0])):
        expected = np.percentile(values, levels)
        assert found[1, 1, place] == pytest.approx(expected, abs=1e-2)


def test_texture_does_not_depend_on_a_quarter_turn_and_knows_flat_patches():
    rng = np.random.default_rng(2)
    patch = rng.normal(-850, 40, (1, 16, 16))
    turned = texture_features(np.rot90(patch, axes=(1, 2)))
    assert turned == pytest.approx(texture_features(patch), rel=1e-3, abs=1e-3)
    assert np.isfinite(texture_features(np.full((1, 9, 9), -900.0))).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_a_linear_model_is_scikit_learns(classes):
    rng = np.random.default_rng(classes)
    y = rng.integers(0, classes, 80)
    x = rng.normal(size=(80, 6)) * [1, 5, 0.1, 1, 1, 1] + y[:, None]
    x[:, 3] = 7.0  # a feature that never changes
    model = fit_logistic(x, y)
    theirs = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000),
    ).fit(x, y)
    assert model.probabilities(x) == pytest.approx(theirs.predict_proba(x), abs=1e-3)
    assert model.scores(x).shape == (80, classes)


def test_a_class_without_an_example_is_never_chosen():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)), rng.choice([0, 2], 30)
    x[:, 0] += 3 * y
    model = fit_logistic(x, y, count=4)
    shares = model.probabilities(x)
    assert shares.shape == (30, 4)
    assert not shares[:, [1, 3]].any()
    alone = fit_logistic(x, y // 2)  # the same two classes, alone
    assert shares[:, [0, 2]] == pytest.approx(alone.probabilities(x))
    only = fit_logistic(x, np.full(30, 1), count=3)
    assert np.array_equal(only.probabilities(x), np.tile([0.0, 1.0, 0.0], (30, 1)))
