"""napari's sample data: the phantoms, as layers that every dock can work on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scanlearn.gui.kit.settings import sample_scans_folder
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import ORIGIN, LayerData, labels_layer
from scanlearn.gui.viewer.readers import show_letters

if TYPE_CHECKING:
    from scanlearn.phantom.chest import Phantom

_SAMPLE = (0, 4)  # a seed and a patient with nodules and centrilobular emphysema

#: Label maps of the ground truth that are shown, with the names of their classes.
_TRUTH = {
    "lungs": {1: "right lung", 2: "left lung"},
    "nodules": {1: "nodule"},
    "emphysema": {1: "centrilobular", 2: "paraseptal", 3: "panlobular"},
}


def chest_ct_sample() -> list[LayerData]:
    """Return a chest CT phantom with its true lungs, nodules and emphysema."""
    layers = chest_ct_layers()
    show_letters()
    return layers


def chest_ct_layers() -> list[LayerData]:
    """Make the phantom and its labels; slow, so call it off the main thread.

    The scan is written to disk first: a prediction or a cohort needs a file.
    """
    from scanlearn.phantom.chest import make_chest
    from scanlearn.scans.find import find_scans

    phantom = make_chest(*_SAMPLE)
    (entry,) = find_scans(_written(phantom))
    image = read_entry(entry)
    origin = image[1]["metadata"][ORIGIN]
    layers = [image]
    for kind, classes in _TRUTH.items():
        data, settings, _ = labels_layer(
            phantom.truth[kind],
            phantom.scan.grid,
            origin,
            name=kind,
            classes=classes,
            opacity=0.4,
        )
        shown = {"visible": kind != "lungs"}
        layers.append((data, settings | shown, "labels"))
    return layers


def radiograph_sample() -> list[LayerData]:
    """Return a chest radiograph phantom with the boxes of its nodules."""
    from scanlearn.phantom.radiograph import make_radiograph

    image = make_radiograph(*_SAMPLE)
    placed: dict[str, Any] = {
        "scale": (image.pixel_mm,) * 2,
        "units": ("mm",) * 2,
        "axis_labels": ("I", "L"),
    }
    corners = [[[y, x], [y + height, x + width]] for x, y, width, height in image.boxes]
    picture = {
        **placed,
        "name": f"{image.name} · radiograph",
        "colormap": "gray",
        "contrast_limits": (0, 4095),
    }
    boxes = {
        **placed,
        "name": f"{image.name} · nodules",
        "shape_type": "rectangle",
        "edge_color": "yellow",
        "face_color": "transparent",
    }
    return [(image.pixels, picture, "image"), (np.array(corners), boxes, "shapes")]


def _written(phantom: Phantom) -> Path:
    from scanlearn.scans.files.write_nifti import write_nifti

    path = sample_scans_folder() / f"{phantom.name}.nii.gz"
    if not path.exists():
        write_nifti(path, phantom.scan.voxels, phantom.scan.grid)
    return path
