"""Points with a diameter in the Fine-tune dock, findings in the Predict dock."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel
from superqt import QLabeledSlider

from scanlearn.gui.tasks.detection.overlay import finding_layers
from scanlearn.gui.tasks.detection.result import FindingResult
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.gui.viewer.world_points import diameters_mm
from scanlearn.prediction.summary import read_prediction
from scanlearn.runs.folder import find_runs
from scanlearn.scans.find import find_scans
from scanlearn.scans.tables.finding_table import Finding, write_findings
from scanlearn.tasks.detection.finding_set import FindingSet

pytestmark = pytest.mark.viewer


@pytest.fixture
def dock(open_dock: Any, prepared: Path, small_launch: Any) -> FinetuneDock:
    dock = open_dock(FinetuneDock)
    dock.cohorts.open(prepared)
    dock.tasks.setCurrentIndex(dock.tasks.findData("detection"))
    return dock


def show(viewer: Any, entry: Any) -> Any:
    data, settings, _ = read_entry(entry)
    return viewer.add_image(data, **settings)


def test_marked_points_become_spheres_of_the_run(
    dock: FinetuneDock,
    scans_folder: Path,
    places: SimpleNamespace,
    click: Any,
    qtbot: Any,
) -> None:
    assert dock.panel.shown.new_button.toolTip() == "Add a scan to the viewer first"
    first, second = (show(dock.viewer, entry) for entry in find_scans(scans_folder))
    dock.viewer.layers.selection.active = first
    dock.panel.shown.diameter.setValue(14)
    steps = dock.viewer.dims.nsteps
    click(dock.panel.shown.new_button)
    points = dock.viewer.layers[-1]
    assert points.mode == "add"
    assert points.units == first.units
    voxel = np.array([12, 20, 30])
    points.add(points.world_to_data(first.data_to_world(voxel)))
    dock.panel.shown.diameter.setValue(22)  # of the point just added, which is selected
    np.testing.assert_allclose(diameters_mm(points), [22])
    dock.viewer.dims.set_point(0, first.data_to_world(voxel)[0] + 10)  # the next slice
    assert under_mouse(points, first.data_to_world((13, 20, 30))) == 0
    assert dock.viewer.dims.nsteps == steps
    assert set(dock.viewer.dims.margin_left) == {0.0}
    click(dock.panel.shown.use_button)
    dock.viewer.layers.selection.active = second
    click(dock.panel.shown.new_button)
    click(dock.panel.shown.use_button)
    texts = [dock.panel.shown.labels.item(row).text() for row in range(2)]
    assert "1 point, 22 mm" in texts[0]
    assert "none in this scan" in texts[1]

    click(dock.start_button)
    qtbot.waitUntil(lambda: dock.slot.card is not None, timeout=20_000)
    with qtbot.waitSignal(dock.slot.card.ended, timeout=20_000):
        pass
    (run,) = find_runs(places.runs)
    assert run.config().recipe.name == "detection"
    items = FindingSet.load(run.inputs).items
    (marked,) = [item for item in items if len(item.objects)]
    assert len(items) == 2
    expected = [*grid_of(first).to_patient(voxel), 22]
    np.testing.assert_allclose(marked.objects, [expected], atol=1e-6)


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_naparis_slider_counts_millimetres(
    dock: FinetuneDock, scans_folder: Path, click: Any, qtbot: Any
) -> None:
    show(dock.viewer, find_scans(scans_folder)[0])
    click(dock.panel.shown.new_button)
    points = dock.viewer.layers[-1]
    points.add(points.world_to_data(dock.viewer.dims.point))
    window = dock.window()
    label = next(
        one for one in window.findChildren(QLabel) if one.text() == "point size:"
    )
    slider = next(
        one
        for one in label.parentWidget().findChildren(QLabeledSlider)
        if one.toolTip().startswith("Change the size of currently selected")
    )
    slider.setValue(14)
    np.testing.assert_allclose(diameters_mm(points), [14])
    slider.setValue(60)  # the selected point, again
    np.testing.assert_allclose(diameters_mm(points), [60])
    dock.panel.shown.diameter.setValue(200)
    np.testing.assert_allclose(diameters_mm(points), [200])


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_empty_layers_alone_are_not_enough(
    dock: FinetuneDock, scans_folder: Path, click: Any, qtbot: Any
) -> None:
    show(dock.viewer, find_scans(scans_folder)[0])
    assert "Press 'New points layer'" in dock.panel.shown.use_button.toolTip()
    click(dock.panel.shown.new_button)
    click(dock.panel.shown.use_button)
    assert "Mark at least one" in dock.start_button.toolTip()
    dock.panel.shown.labels.add(scans_folder.parent / "nodules.csv")
    listed = dock.panel.shown.labels
    assert "nodules.csv · table" in listed.item(1).text()
    # The table would not be read beside layers: nothing listed is left out silently.
    assert "not from both" in dock.start_button.toolTip()
    listed.setCurrentRow(0)
    qtbot.keyClick(listed, Qt.Key.Key_Delete)
    assert listed.count() == 1
    assert dock.start_button.isEnabled()


@pytest.fixture
def found(open_dock: Any, scans_folder: Path, tmp_path: Path) -> SimpleNamespace:
    """Return a shown scan with three findings predicted on it."""
    viewer = open_dock(FinetuneDock).viewer
    image = show(viewer, find_scans(scans_folder)[0])
    origin = origin_of(image)
    voxels = np.array([[12, 20, 30], [20, 10, 15], [5, 30, 40]])
    centres = grid_of(image).to_patient(voxels)
    findings = [
        Finding(score, tuple(centre), diameter, "nodule")
        for score, centre, diameter in zip(
            (0.9, 0.4, 0.1), centres.tolist(), (24.0, 12.0, 8.0), strict=True
        )
    ]
    write_findings(tmp_path / "scan_findings.csv", findings)
    about = {
        "run": "2026-11-21_nodules",
        "task": "detection",
        "scan": "scan",
        "source": "dicom",
        "grid": {
            "shape": origin.grid.shape,
            "affine": origin.grid.affine.tolist(),
        },
        "tables": ["scan_findings.csv"],
        "finding": "nodule",
    }
    summary = tmp_path / "scan_prediction.json"
    summary.write_text(json.dumps(about))
    prediction = read_prediction(summary)
    ((data, settings, kind),) = finding_layers(prediction, origin, grid_of(image))
    layer = getattr(viewer, f"add_{kind}")(data, **settings)
    return SimpleNamespace(
        viewer=viewer, image=image, voxels=voxels, layer=layer, prediction=prediction
    )


def test_findings_lie_on_their_voxels_with_their_sizes(found) -> None:
    layer, image = found.layer, found.image
    world = np.array([layer.data_to_world(point) for point in layer.data])
    expected = np.array([image.data_to_world(voxel) for voxel in found.voxels])
    np.testing.assert_allclose(world, expected, atol=1e-6)
    np.testing.assert_allclose(diameters_mm(layer), [24, 12, 8])
    assert layer.units == image.units
    assert "nodules (findings)" in layer.name
    # The surest is the lightest colour of the scale.
    brightness = layer.border_color[:, :3].sum(axis=1)
    assert brightness[0] > brightness[1] > brightness[2]


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_the_table_filters_and_leads_to_a_finding(found, qtbot: Any) -> None:
    panel = FindingResult(found.viewer)
    qtbot.addWidget(panel)
    panel.show_prediction(found.prediction, [found.layer])
    assert panel.count.text() == "3 possible nodules · 2 shown · 0 reviewed"
    assert found.layer.shown.tolist() == [True, True, False]
    assert panel.table.isRowHidden(2)
    panel.least.setValue(0.05)
    assert found.layer.shown.all()
    assert panel.table.item(1, 1).text() == "0.40"
    panel.table.selectRow(1)
    there = found.image.data_to_world(found.voxels[1])
    np.testing.assert_allclose(found.viewer.dims.point, there, atol=10.0)
    np.testing.assert_allclose(found.viewer.scene.camera.center, there, atol=1e-3)


def under_mouse(layer: Any, place: tuple[float, ...]) -> Any:
    """Return the value of a layer on the shown axial slice, as napari tells it."""
    return layer.get_value(
        place, view_direction=None, dims_displayed=[1, 2], world=True
    )


def test_slices_show_where_they_cut_a_finding_and_stay_themselves(
    found, qtbot: Any
) -> None:
    viewer, image, layer = found.viewer, found.image, found.layer
    panel = FindingResult(viewer)
    qtbot.addWidget(panel)
    panel.show_prediction(found.prediction, [layer])
    slices = image.data.shape[0]
    assert viewer.dims.nsteps[0] == slices
    assert set(viewer.dims.margin_left + viewer.dims.margin_right) == {0.0}
    row, column = found.voxels[0, 1:]
    z, y, x = image.data_to_world(found.voxels[0])
    for number in range(slices):  # 10 mm apart, the finding 24 mm wide
        viewer.dims.set_current_step(0, number)
        world = image.data_to_world((number, row, column))
        assert under_mouse(image, world) == image.data[number, row, column]
        inside = 12**2 - (world[0] - z) ** 2
        assert (under_mouse(layer, world) is not None) == (inside > 0)
        if inside > 0:
            reach = np.sqrt(inside)
            assert under_mouse(layer, (world[0], y, x + 0.95 * reach)) is not None
            assert under_mouse(layer, (world[0], y, x + 1.05 * reach)) is None


def test_nothing_found_is_said(found, qtbot: Any) -> None:
    write_findings(found.prediction.folder / "scan_findings.csv", [])
    panel = FindingResult(found.viewer)
    qtbot.addWidget(panel)
    origin = origin_of(found.image)
    ((data, settings, _),) = finding_layers(
        found.prediction, origin, grid_of(found.image)
    )
    layer = found.viewer.add_points(data, **settings)
    panel.show_prediction(found.prediction, [layer])
    assert "No nodule was found" in panel.count.text()
