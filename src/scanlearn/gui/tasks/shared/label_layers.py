"""A label map and what is known of its classes as layers over a scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.labels.known_slices import KnownSlices
from scanlearn.gui.shared.run_list import undated
from scanlearn.gui.viewer.layers import (
    KNOWN,
    LayerData,
    Origin,
    labels_layer,
    probability_layer,
    uncertainty_layer,
)
from scanlearn.prediction.summary import FoundClass, Prediction
from scanlearn.scans.geometry import Grid, grid_from_ras


def onto(voxels: NDArray[Any], grid: Grid, shown: Grid, *, order: int) -> NDArray[Any]:
    """Return voxels of a source grid on the grid that is displayed."""
    from scanlearn.scans.resample import resample

    if grid.matches(shown):
        return voxels
    return np.ascontiguousarray(resample(voxels, grid, shown, order=order, outside=0))


def label_layers(
    prediction: Prediction, origin: Origin, shown: Grid
) -> list[LayerData]:
    """Return a label map on the displayed grid, under it what is known of its classes.

    That is the probability of each and the uncertainty, both hidden at first.
    """
    from scanlearn.scans.labels.read_labels import read_label_map

    assert prediction.labels is not None
    labels, _ = read_label_map(prediction.labels, like=origin.grid)
    names = {found.value: found.name for found in prediction.classes}
    on_shown = onto(labels, origin.grid, shown, order=0)
    file = prediction.probabilities
    layers = [
        _probability(file, index, found, origin, shown)
        for index, found in enumerate(prediction.classes, start=1)
        if file is not None and file.exists()
    ]
    if prediction.uncertainty is not None and prediction.uncertainty.exists():
        voxels = _shown(prediction.uncertainty, ..., shown)
        layers.append(uncertainty_layer(voxels, shown, origin))
    name = undated(prediction.run)
    overlay = labels_layer(on_shown, shown, origin, name=name, classes=names)
    # What a model found is no truth before somebody has looked at it.
    overlay[1]["metadata"][KNOWN] = KnownSlices.none(on_shown.shape)
    return [*layers, overlay]


def _probability(
    file: Path, index: int, found: FoundClass, origin: Origin, shown: Grid
) -> LayerData:
    voxels = _shown(file, (..., index), shown)
    return probability_layer(voxels, shown, origin, value=found.value, name=found.name)


def _shown(file: Path, part: Any, shown: Grid) -> NDArray[Any]:
    """Return a part of a NIfTI file on the displayed grid."""
    import nibabel as nib

    image: Any = nib.load(file)
    voxels = np.asarray(image.dataobj[part], dtype=np.float32)
    return onto(voxels, grid_from_ras(voxels.shape, image.affine), shown, order=1)
