"""Class-activation maps as layers over their image."""

from __future__ import annotations

from scanlearn.gui.tasks.shared.label_layers import onto
from scanlearn.gui.viewer.layers import LayerData, Origin, activation_layer
from scanlearn.prediction.activation_figure import read_activation, told_classes
from scanlearn.prediction.summary import Prediction
from scanlearn.scans.geometry import Grid


def activation_layers(
    prediction: Prediction, origin: Origin, shown: Grid
) -> list[LayerData]:
    """Return a layer a class that is told, the likeliest last and alone visible."""
    maps, told = read_activation(prediction), told_classes(prediction)
    layers = []
    for name in reversed(told):
        voxels = onto(maps[name], origin.grid, shown, order=1)
        data, settings, kind = activation_layer(voxels, shown, origin, name=name)
        layers.append((data, settings | {"visible": name == told[0]}, kind))
    return layers
