"""A prediction as layers over its scan."""

from __future__ import annotations

from collections.abc import Sequence

from scanlearn.errors import BadScan
from scanlearn.gui.tasks.registry import dock_task
from scanlearn.gui.viewer.layers import (
    LayerData,
    Origin,
)
from scanlearn.prediction.summary import Prediction
from scanlearn.scans.geometry import Grid


def prediction_layers(
    predictions: Sequence[Prediction], origin: Origin, shown: Grid
) -> tuple[Prediction, list[LayerData]]:
    """Return the prediction of a shown scan, and its layers on the displayed grid.

    Parameters
    ----------
    predictions
        What the job wrote; a folder of several series gives several.
    origin
        The scan's. The prediction on its source grid is the scan's own.
    shown
        Grid of the image layer.

    Raises
    ------
    BadScan
        If none lies on the grid of the scan.
    """
    for prediction in predictions:
        if prediction.grid.matches(origin.grid):
            part = dock_task(prediction.task)
            return prediction, part.overlay(prediction, origin, shown)
    raise BadScan(
        f"No prediction lies on the grid of {origin.source.name}",
        expected="the grid of the scan that is shown",
        next_step="Open the scan anew under Scans and predict again",
    )
