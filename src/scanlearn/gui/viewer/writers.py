"""Saving a Labels layer as NIfTI in the grid of the scan it was painted on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scanlearn.errors import BadLabels
from scanlearn.gui.viewer.labels_io import Painted, write_labels
from scanlearn.gui.viewer.layers import CLASSES, ORIGIN, Origin, grid_of_transform


def write_labels_nifti(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write one layer, as npe2 calls a writer; returns the path written.

    A layer that belongs to a scan is mapped back to the scan's own grid. Any other
    three-dimensional layer is written on the grid that napari shows it on.
    """
    labels = np.asarray(data)
    name = str(meta.get("name", "labels"))
    if labels.ndim != 3:
        raise BadLabels(
            f"The layer '{name}' has {labels.ndim} axes",
            expected="three axes, as NIfTI label maps have",
            next_step="Save it with another format",
        )
    grid = grid_of_transform(labels.shape, _to_world(meta))
    own = meta.get("metadata", {})
    origin = own.get(ORIGIN) or Origin(Path(path), grid, name)
    painted = Painted(name, labels, grid, origin, own.get(CLASSES, {}))
    write_labels(Path(path), painted)
    return [path]


def _to_world(meta: Mapping[str, Any]) -> Any:
    """Return the map from data to world that a layer's settings describe."""
    from napari.utils.transforms import Affine

    inner = Affine(
        scale=meta.get("scale", (1, 1, 1)),
        translate=meta.get("translate", (0, 0, 0)),
        rotate=meta.get("rotate", np.eye(3)),
        shear=meta.get("shear", np.eye(3)),
        ndim=3,
    )
    outer = np.asarray(meta.get("affine", np.eye(4)), dtype=float)

    def to_world(index: Any) -> Any:
        point = np.asarray(inner(np.asarray(index, dtype=float)))
        return outer[:3, :3] @ point + outer[:3, 3]

    return to_world
