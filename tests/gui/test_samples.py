from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Labels, Layer, Shapes

from scanlearn.gui.viewer.layers import CLASSES, grid_of, origin_of
from scanlearn.gui.viewer.new_layers import new_labels
from scanlearn.gui.viewer.samples import chest_ct_sample, radiograph_sample
from scanlearn.gui.viewer.writers import write_labels_nifti
from scanlearn.phantom import chest
from scanlearn.phantom.chest import Phantom, make_chest
from scanlearn.scans.geometry import world_to_patient
from scanlearn.scans.labels.read_labels import read_label_map


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Phantom:
    phantom = make_chest(0, 4, spacing_mm=(5, 4, 4))
    monkeypatch.setattr(chest, "make_chest", lambda *_: phantom)
    return phantom


def test_chest_ct_layers_show_the_patient(small: Phantom) -> None:
    image, *truths = (Layer.create(*one) for one in chest_ct_sample())
    assert image.contrast_limits == [-1350, 150]
    assert np.array_equal(image.data, small.scan.voxels)
    index = (3, 10, 20)
    point = world_to_patient(image.data_to_world(index))
    assert np.allclose(point, small.scan.grid.to_patient(index), atol=1e-3)
    assert [truth.name.split(" · ")[1] for truth in truths] == [
        "lungs (labels)",
        "nodules (labels)",
        "emphysema (labels)",
    ]
    for truth in truths:
        assert grid_of(truth).matches(grid_of(image))
        assert truth.units == image.units
        assert set(np.unique(truth.data)) - {0} <= set(truth.metadata[CLASSES])


@pytest.mark.viewer
def test_labels_are_painted_on_the_sample_and_saved(
    small: Phantom, make_napari_viewer: Any, tmp_path: Any
) -> None:
    viewer = make_napari_viewer()
    for one in chest_ct_sample():
        viewer.add_layer(Layer.create(*one))
    layer = new_labels(viewer, {1: "lung"})
    assert isinstance(layer, Labels)
    origin = origin_of(layer)
    assert origin is not None
    assert origin.source.is_file()
    layer.data[10] = small.truth["lungs"][10] > 0
    data, meta, _ = layer.as_layer_data_tuple()
    write_labels_nifti(str(tmp_path / "mine.nii.gz"), data, meta)
    saved, grid = read_label_map(tmp_path / "mine.nii.gz")
    assert grid.matches(origin.grid)
    assert saved.sum() == np.count_nonzero(small.truth["lungs"][10])


def test_radiograph_layers_show_the_boxes() -> None:
    image, boxes = (Layer.create(*one) for one in radiograph_sample())
    assert image.data.ndim == 2
    assert isinstance(boxes, Shapes)
    assert len(boxes.data) > 0
    for corners in boxes.data:
        assert (corners.max(axis=0) < image.data.shape).all()
        assert (corners.min(axis=0) > 0).all()
