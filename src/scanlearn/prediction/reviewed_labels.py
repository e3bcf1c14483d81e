"""Accepted findings as a label map: a class each, so that all can be told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scanlearn.prediction.review import read_review
from scanlearn.prediction.summary import FoundClass, Prediction
from scanlearn.scans.boxes import as_boxes, paint_boxes
from scanlearn.scans.geometry import Grid
from scanlearn.scans.spheres import as_spheres, paint_spheres
from scanlearn.scans.tables.finding_table import BoxFinding, Finding


def reviewed_labels(
    prediction: Prediction, grid: Grid
) -> tuple[NDArray[np.uint16], tuple[FoundClass, ...]]:
    """Paint what was accepted or added on a grid; returns its classes, too.

    Spheres are painted as spheres, boxes as rectangles.
    """
    kept = read_review(prediction).kept
    spheres = [
        (*one.centre, one.diameter_mm) for one in kept if isinstance(one, Finding)
    ]
    boxes = [one.box for one in kept if isinstance(one, BoxFinding)]
    if boxes:
        labels = paint_boxes(as_boxes(boxes), grid)
    else:
        labels = paint_spheres(as_spheres(spheres), grid)
    sizes = np.bincount(labels.ravel(), minlength=len(kept) + 1)
    classes = tuple(
        FoundClass(value, f"{one.kind} {value}", float(sizes[value]) * grid.voxel_ml)
        for value, one in enumerate(kept, start=1)
    )
    return labels, classes
