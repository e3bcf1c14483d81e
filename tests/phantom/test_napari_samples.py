"""Sample data are layer tuples that napari accepts, at the right place."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Layer

from scanlearn.phantom import napari_samples
from scanlearn.phantom.chest import Phantom, make_chest
from scanlearn.scans.geometry import world_to_patient


@pytest.fixture
def small(monkeypatch) -> Phantom:
    phantom = make_chest(0, 4, spacing_mm=(5, 4, 4))
    monkeypatch.setattr(napari_samples, "make_chest", lambda *_: phantom)
    return phantom


def test_chest_ct_layers_show_the_patient(small):
    layers = [Layer.create(*one) for one in napari_samples.chest_ct_sample()]
    image = layers[0]
    assert image.contrast_limits == [-1350, 150]
    assert {str(unit) for unit in image.units} == {"millimeter"}
    assert image.axis_labels == ("S", "P", "L")
    index = (3, 10, 20)
    point = world_to_patient(image.data_to_world(index))
    assert np.allclose(point, small.scan.grid.to_patient(index))
    for truth in layers[1:]:
        assert truth.data.shape == image.data.shape
        assert np.allclose(truth.affine.affine_matrix, image.affine.affine_matrix)


def test_radiograph_layers_show_the_boxes():
    image, boxes = (Layer.create(*one) for one in napari_samples.radiograph_sample())
    assert image.data.ndim == 2
    assert len(boxes.data) > 0
    for corners in boxes.data:
        assert (corners.max(axis=0) < image.data.shape).all()
        assert (corners.min(axis=0) > 0).all()
