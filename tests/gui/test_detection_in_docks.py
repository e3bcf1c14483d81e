"""Points with a diameter in the Fine-tune dock, findings in the Predict dock."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scanlearn.gui.tasks.detection.overlay import finding_layers
from scanlearn.gui.tasks.detection.result import FindingResult
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of, origin_of
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
    click(dock.panel.shown.new_button)
    points = dock.viewer.layers[-1]
    assert points.mode == "add"
    assert points.units == first.units
    voxel = np.array([12, 20, 30])
    points.add(first.data_to_world(voxel))
    dock.panel.shown.diameter.setValue(22)  # of the point just added, which is selected
    assert points.size.tolist() == [22]
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


def test_empty_layers_alone_are_not_enough(
    dock: FinetuneDock, scans_folder: Path, click: Any
) -> None:
    show(dock.viewer, find_scans(scans_folder)[0])
    assert "Press 'New points layer'" in dock.panel.shown.use_button.toolTip()
    click(dock.panel.shown.new_button)
    click(dock.panel.shown.use_button)
    assert "Mark at least one" in dock.start_button.toolTip()
    dock.panel.shown.labels.add(scans_folder.parent / "nodules.csv")
    assert "nodules.csv · table" in dock.panel.shown.labels.item(1).text()
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
    assert layer.size.tolist() == [24, 12, 8]
    assert layer.units == image.units
    assert "nodules (findings)" in layer.name
    # The surest is the lightest colour of the scale.
    brightness = layer.border_color[:, :3].sum(axis=1)
    assert brightness[0] > brightness[1] > brightness[2]


def test_the_table_filters_and_leads_to_a_finding(found, qtbot: Any) -> None:
    panel = FindingResult(found.viewer)
    qtbot.addWidget(panel)
    panel.show_prediction(found.prediction, [found.layer])
    assert panel.count.text() == "3 possible nodules, 2 shown"
    assert found.layer.shown.tolist() == [True, True, False]
    assert panel.table.isRowHidden(2)
    panel.least.setValue(0.05)
    assert found.layer.shown.all()
    assert panel.table.item(1, 1).text() == "0.40"
    panel.table.selectRow(1)
    there = found.image.data_to_world(found.voxels[1])
    np.testing.assert_allclose(found.viewer.dims.point, there, atol=10.0)
    np.testing.assert_allclose(found.viewer.scene.camera.center, there, atol=1e-3)


def test_a_slice_shows_where_it_cuts_a_finding(found, qtbot: Any) -> None:
    panel = FindingResult(found.viewer)
    qtbot.addWidget(panel)
    panel.show_prediction(found.prediction, [found.layer])
    # Slices lie 10 mm apart: that next to the largest one cuts it too.
    assert found.layer.projection_mode == "rescale_spherical"
    assert found.viewer.dims.margin_left == found.viewer.dims.margin_right
    assert found.viewer.dims.margin_left[0] == pytest.approx(12)


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
