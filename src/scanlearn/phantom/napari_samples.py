"""The phantoms as napari's sample data: layer tuples, without importing napari."""

from __future__ import annotations

from typing import Any

import numpy as np

from scanlearn.phantom.chest import make_chest
from scanlearn.phantom.radiograph import make_radiograph
from scanlearn.scans.geometry import CANONICAL, napari_affine
from scanlearn.scans.windows import window_range

#: A layer as napari takes it: data, keyword arguments, kind of layer.
LayerTuple = tuple[Any, dict[str, Any], str]

_SAMPLE = (0, 4)  # a seed and a patient with nodules and centrilobular emphysema


def chest_ct_sample() -> list[LayerTuple]:
    """Return a chest CT phantom with its true lungs, nodules and emphysema."""
    phantom = make_chest(*_SAMPLE)
    placed: dict[str, Any] = {
        "affine": napari_affine(phantom.scan.grid),
        "units": ("mm",) * 3,
        "axis_labels": tuple(CANONICAL),
    }
    image = {
        **placed,
        "name": phantom.name,
        "contrast_limits": window_range("lung"),
        "colormap": "gray",
        "metadata": {"patient": phantom.name},
    }
    layers: list[LayerTuple] = [(phantom.scan.voxels, image, "image")]
    for kind in ("lungs", "nodules", "emphysema"):
        about = {
            **placed,
            "name": f"{phantom.name} {kind}",
            "opacity": 0.4,
            "visible": kind != "lungs",
        }
        layers.append((phantom.truth[kind], about, "labels"))
    return layers


def radiograph_sample() -> list[LayerTuple]:
    """Return a chest radiograph phantom with the boxes of its nodules."""
    image = make_radiograph(*_SAMPLE)
    placed: dict[str, Any] = {
        "scale": (image.pixel_mm,) * 2,
        "units": ("mm",) * 2,
        "axis_labels": ("I", "L"),
    }
    corners = [
        np.array([[y, x], [y + height, x + width]])
        for x, y, width, height in image.boxes
    ]
    name = f"{image.name} radiograph"
    picture = {**placed, "name": name, "colormap": "gray"}
    picture["contrast_limits"] = (0, 4095)
    boxes = {
        **placed,
        "name": f"{image.name} nodules",
        "shape_type": "rectangle",
        "edge_color": "yellow",
        "face_color": "transparent",
    }
    return [(image.pixels, picture, "image"), (corners, boxes, "shapes")]
