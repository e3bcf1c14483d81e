"""The status bar and the slider speak of the scan, its millimetres and its slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtWidgets import QLabel

from scanlearn.gui.scans.dock import ScansDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of, labels_layer, origin_of
from scanlearn.gui.viewer.orientation import show_orientation
from scanlearn.gui.viewer.status_line import millimetres, status_of
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a long and a short scan that lie above each other."""
    random = np.random.default_rng(0)
    for name, slices, bottom in (("long", 40, 0.0), ("short", 10, 300.0)):
        voxels = random.integers(0, 900, (20, 16, slices), np.int16)
        affine = np.diag([1.5, 1.5, 5.0, 1.0])
        affine[:3, 3] = -10, -12, bottom
        nib.save(nib.Nifti1Image(voxels, affine), tmp_path / f"{name}.nii")
    return tmp_path


def add(viewer: Any, path: Path) -> Any:
    data, settings, _ = read_entry(find_scans(path)[0])
    layer = viewer.add_image(data, **settings)
    show_orientation(viewer)
    return layer


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_the_status_bar_tells_value_place_class_and_slice(
    open_dock: Any, folder: Path
) -> None:
    dock = open_dock(ScansDock)
    viewer = dock.viewer
    layer = add(viewer, folder / "long.nii")
    image = nib.load(folder / "long.nii")
    x, y, z = 7, 4, 30
    right, front, up = (image.affine @ (x, y, z, 1))[:3]
    viewer.dims.set_point(0, up)
    viewer.cursor.position = (up, -front, -right)  # (S, P, L)
    viewer.status = layer.get_status(viewer.cursor.position, world=True)  # napari's
    value = int(np.asarray(image.dataobj)[x, y, z])
    place = f"R {right:.0f} P {-front:.0f} S {up:.0f} mm"
    assert viewer.status == f"{value} · {place} · slice 31 of 40"
    words = [label.text() for label in dock.window().statusBar().findChildren(QLabel)]
    assert viewer.status in words

    origin = origin_of(layer)
    assert origin is not None
    labels = np.full(layer.data.shape, 2, np.uint8)
    data, settings, _ = labels_layer(
        labels, grid_of(layer), origin, name="mine", classes={2: "lesion"}
    )
    viewer.add_labels(data, **settings)
    assert status_of(viewer) == f"{value} · {place} · lesion · slice 31 of 40"
    viewer.cursor.position = (up, 900.0, 900.0)
    assert status_of(viewer).startswith("outside the scan · L 900 P 900 ")
    viewer.dims.ndisplay = 3
    assert status_of(viewer) == ""


def test_letters_say_the_side() -> None:
    assert millimetres((-88.4, 12, -34)) == "R 34 P 12 I 88 mm"


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_the_slider_counts_the_slices_of_the_scan_in_view(
    open_dock: Any, folder: Path
) -> None:
    viewer = open_dock(ScansDock).viewer
    long = add(viewer, folder / "long.nii")
    assert viewer.dims.nsteps[0] == 40
    alone = viewer.dims.range
    short = add(viewer, folder / "short.nii")
    assert viewer.dims.nsteps[0] == 10
    viewer.layers.selection.active = long
    assert viewer.dims.range == alone
    viewer.layers.selection.active = short
    assert viewer.dims.nsteps[0] == 10
    assert short.data.shape[0] > short.world_to_data(viewer.dims.point)[0] >= 0
    viewer.layers.remove(short)
    assert viewer.dims.range == alone
