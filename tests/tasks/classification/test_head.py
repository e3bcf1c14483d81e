"""The layer of an image classifier, beside scikit-learn's own models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scanlearn.nets.image_classifier import ImageClassifier
from scanlearn.nets.resnet import ResNet
from scanlearn.tasks.classification.head import fit_head, held_out_logits, set_head
from scanlearn.tasks.classification.labels import ImageLabel


def reference(x, y, penalty=0.1):
    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=2000)
    return make_pipeline(StandardScaler(), model).fit(x, y).predict_proba(x)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=90)
    x = rng.normal(size=(90, 8)) * 3 + 5
    x[:, 0] += y
    return x, y


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_exclusive_classes_are_one_multinomial_model(data) -> None:
    x, y = data
    model = fit_head(x, np.eye(3, dtype=bool)[y], several=False, penalty=0.1)
    np.testing.assert_allclose(softmax(model.scores(x)), reference(x, y), atol=1e-3)


def test_findings_are_a_model_each(data) -> None:
    x, y = data
    targets = np.stack([y == 0, y >= 1, y > 5], axis=1)
    model = fit_head(x, targets, several=True, penalty=0.1)
    shares = 1 / (1 + np.exp(-model.scores(x)))
    for k in (0, 1):
        wanted = reference(x, targets[:, k])[:, 1]
        np.testing.assert_allclose(shares[:, k], wanted, atol=1e-3)
    assert (shares[:, 2] < 1e-3).all()  # of which there is no example


def test_of_one_class_nothing_is_learned(data) -> None:
    x, _ = data
    targets = np.tile([False, True], (90, 1))
    shares = softmax(fit_head(x, targets, several=False, penalty=0.1).scores(x))
    assert np.ptp(shares[:, 1]) == 0
    assert shares[0, 1] > 0.99


def test_a_layer_says_what_the_model_says() -> None:
    torch.manual_seed(0)
    network = ImageClassifier(ResNet("small", width=4), classes=2).eval()
    images = torch.rand(12, 1, 32, 32)
    with torch.no_grad():
        x = network.features(images).double().numpy()
        y = np.arange(12) % 2
        model = fit_head(x, np.eye(2, dtype=bool)[y], several=False, penalty=1.0)
        set_head(network, model)
        np.testing.assert_allclose(network(images), model.scores(x), atol=1e-3)


def test_held_out_images_are_by_models_of_other_patients() -> None:
    """Features that name the patient are worth nothing on others."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 4)
    y = (np.arange(30) % 2)[patients]
    x = np.eye(30)[patients] + rng.normal(scale=0.01, size=(120, 30))
    items = [ImageLabel(f"s{n}", f"P{p}", ()) for n, p in enumerate(patients)]
    targets = np.eye(2, dtype=bool)[y]
    options = {"several": False, "penalty": 1.0, "count": 5, "seed": 0}
    found = held_out_logits(x, targets, items, **options)
    assert (
        fit_head(x, targets, several=False, penalty=1.0).scores(x).argmax(1) == y
    ).all()
    assert (found.argmax(axis=1) == y).mean() < 0.7
    same = [ImageLabel(f"s{n}", "P", ()) for n in range(120)]
    assert held_out_logits(x, targets, same, **options) is None
