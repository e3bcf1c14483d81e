"""Locations of an atlas drawn over a scan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scanlearn.errors import BadScan
from scanlearn.gui.runs.locations_section import LocationsSection
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.viewer.atlas_layers import read_located
from scanlearn.gui.viewer.layers import Origin, placed
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.geometry import Grid

pytestmark = pytest.mark.viewer


def origin_at(path: Path) -> Origin:
    affine = np.eye(4)[[2, 1, 0, 3]]
    return Origin(path, Grid((4, 5, 6), affine), "P-1234", "CT")


def write_job(folder: Path, *, problems: list[str]) -> None:
    """Write what the command writes: two landmarks and a small atlas."""
    (folder / "chest_landmarks.csv").write_text(
        "landmark,x,y,z,inside\n0,1.0,2.0,3.0,0.25\n1,4.0,5.0,6.0,1.0\n"
    )
    labels = np.zeros((4, 5, 6), dtype=np.uint8)
    labels[1:3, 1:3, 1:3] = 2
    affine = np.eye(4)[[2, 1, 0, 3]]
    write_nifti(folder / "chest_atlas.nii.gz", labels, Grid(labels.shape, affine))
    quality = {"dice": 0.83, "rotation_degrees": 9.8, "missed": 0.02}
    about = {"method": "affine", "usable": True, "problems": problems}
    text = json.dumps({**about, "quality": quality})
    (folder / "chest_locations.json").write_text(text)


def test_what_a_job_wrote_becomes_layers(tmp_path: Path) -> None:
    write_job(tmp_path, problems=["something is odd"])
    origin = origin_at(tmp_path)
    found = read_located(tmp_path, origin, origin.grid)
    assert "overlap (Dice) 0.83" in found.sentence
    assert "something is odd" in found.sentence
    (labels, _, first), (points, settings, second) = found.layers
    assert (first, second) == ("labels", "points")
    assert labels.max() == 2
    # napari's world runs z, y, x.
    world = points * np.array(settings["scale"])
    np.testing.assert_allclose(world, [[3, 2, 1], [6, 5, 4]])
    np.testing.assert_array_equal(settings["features"]["lung fraction"], [0.25, 1])


def test_a_job_that_wrote_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadScan, match="cannot be shown"):
        read_located(tmp_path, origin_at(tmp_path), origin_at(tmp_path).grid)


def test_the_button_says_what_is_missing_and_layers_are_drawn_once(
    make_napari_viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    box = LocationsSection(viewer)
    qtbot.addWidget(box)
    box.choose_run(None)
    assert "Select a pre-training" in box.show_button.toolTip()
    run = RunRow(tmp_path, "pretrain", "drasclr", "stopped")
    box.choose_run(run)
    assert "saved nothing" in box.show_button.toolTip()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "encoder.json").write_text("{}")
    box.choose_run(run)
    assert "Add a scan" in box.show_button.toolTip()
    box.choose_run(RunRow(tmp_path, "pretrain", "joint", "finished"))
    assert "without an atlas" in box.show_button.toolTip()
    write_job(tmp_path, problems=[])
    origin = origin_at(tmp_path)
    found = read_located(tmp_path, origin, origin.grid)
    for _ in range(2):
        box._draw(found)
    assert [layer.name for layer in viewer.layers] == [
        "P-1234 · atlas",
        "P-1234 · landmarks",
    ]
    assert viewer.layers[0].contour == 2
    assert box.sentence.text() == found.sentence


def test_locations_leave_the_slices_of_the_scan_alone(
    make_napari_viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    """Thick slices, an atlas of 1 mm on them: the slider stops at slices only."""
    viewer = make_napari_viewer()
    affine = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]
    grid = Grid((4, 6, 7), affine)
    origin = Origin(tmp_path, grid, "P-1234", "CT")
    voxels = np.arange(168, dtype=np.int16).reshape(grid.shape)
    image = viewer.add_image(voxels, **placed(grid, origin))
    section = LocationsSection(viewer)
    qtbot.addWidget(section)
    write_job(tmp_path, problems=[])
    section._draw(read_located(tmp_path, origin, grid))
    atlas, dots = viewer.layers["P-1234 · atlas"], viewer.layers["P-1234 · landmarks"]
    assert atlas.data.any()
    assert viewer.dims.nsteps[0] == 4
    assert set(viewer.dims.margin_left + viewer.dims.margin_right) == {0.0}
    for number in range(4):  # dots at 3 and 6 mm: seen on every slice
        viewer.dims.set_current_step(0, number)
        place = (viewer.dims.point[0], 2, 1)
        looked = {"view_direction": None, "dims_displayed": [1, 2], "world": True}
        assert image.get_value(place, **looked) == voxels[number, 2, 1]
        assert dots.get_value(place, **looked) is not None
