"""Rectangles in the Fine-tune dock, boxes with their scores in the Predict dock."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.gui.tasks.detection.overlay import finding_layers
from scanlearn.gui.tasks.detection.result import FindingResult
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.prediction.summary import read_prediction
from scanlearn.runs.folder import find_runs
from scanlearn.scans.boxes import to_pixels
from scanlearn.scans.find import find_scans
from scanlearn.scans.tables.finding_table import BoxFinding, write_findings
from scanlearn.tasks.detection.finding_set import FindingSet

pytestmark = pytest.mark.viewer


@pytest.fixture
def dock(open_dock: Any, films: Path, small_launch: Any) -> FinetuneDock:
    dock = open_dock(FinetuneDock)
    dock.cohorts.open(films / "cohort")
    dock.tasks.setCurrentIndex(dock.tasks.findData("detection"))
    return dock


def show(viewer: Any, path: Path) -> Any:
    data, settings, _ = read_entry(find_scans(path)[0])
    return viewer.add_image(data, **settings)


def test_drawn_rectangles_become_boxes_of_the_run(
    dock: FinetuneDock, films: Path, places: SimpleNamespace, click: Any, qtbot: Any
) -> None:
    panel = dock.panel.shown
    assert panel is dock.panel.boxes
    assert panel.isVisible()
    assert not dock.panel.spheres.isVisible()
    first, second = (
        show(dock.viewer, films / "scans" / f"film{n}.png") for n in (0, 1)
    )
    dock.viewer.layers.selection.active = first
    click(panel.new_button)
    layer = dock.viewer.layers[-1]
    assert (layer.mode, layer.units) == ("add_rectangle", first.units)
    corners = np.array([[0, 20, 10], [0, 20, 40], [0, 50, 40], [0, 50, 10.0]])
    layer.add_rectangles(corners)
    # An ellipse far from the shown slice counts as well: nothing drawn is lost.
    layer.add_ellipses(np.add(corners, [5, 40, 30]))
    click(panel.use_button)
    dock.viewer.layers.selection.active = second
    click(panel.new_button)
    click(panel.use_button)
    texts = [panel.labels.item(row).text() for row in range(2)]
    assert "2 boxes" in texts[0]
    assert "nothing here" in texts[1]

    click(dock.start_button)
    qtbot.waitUntil(lambda: dock.slot.card is not None, timeout=20_000)
    with qtbot.waitSignal(dock.slot.card.ended, timeout=20_000):
        pass
    (run,) = find_runs(places.runs)
    assert run.config().recipe.finding == "abnormality"
    labels = FindingSet.load(run.inputs)
    assert labels.kind == "boxes"
    (marked,) = [item for item in labels.items if len(item.objects)]
    grid = Cohort(films / "cohort").source_grid(marked.scan)
    np.testing.assert_allclose(
        to_pixels(marked.objects, grid),
        [(10, 20, 30, 30), (40, 60, 30, 30)],
        atol=1e-6,
    )


def test_a_shape_without_a_width_is_not_taken(
    dock: FinetuneDock, films: Path, click: Any
) -> None:
    show(dock.viewer, films / "scans" / "film0.png")
    panel = dock.panel.shown
    click(panel.new_button)
    layer = dock.viewer.layers[-1]
    layer.add_lines(np.array([[0, 5, 5], [0, 40, 5.0]]))
    click(panel.use_button)
    assert "no width" in dock.notice.text.text()
    assert not panel.labels.sources
    assert layer.nshapes == 1


def test_a_cohort_of_volumes_has_its_points_back(
    dock: FinetuneDock, prepared: Path, films: Path
) -> None:
    dock.panel.shown.labels.add(films / "boxes.csv")
    dock.cohorts.open(prepared)
    assert dock.panel.shown is dock.panel.spheres
    assert dock.panel.missing()
    dock.cohorts.open(films / "cohort")
    assert not dock.panel.missing()


@pytest.fixture
def found(open_dock: Any, films: Path, tmp_path: Path) -> SimpleNamespace:
    """Return a shown radiograph with three boxes predicted on it."""
    viewer = open_dock(FinetuneDock).viewer
    image = show(viewer, films / "scans" / "film2.png")
    origin = origin_of(image)
    boxes = [(10.0, 20.0, 30.0, 25.0), (50.0, 60.0, 20.0, 30.0), (5.0, 80.0, 9.0, 9.0)]
    findings = [
        BoxFinding(score, box, "shadow")
        for score, box in zip((0.9, 0.4, 0.1), boxes, strict=True)
    ]
    write_findings(tmp_path / "film2_findings.csv", findings, BoxFinding)
    about = {
        "run": "2026-11-21_shadows",
        "task": "detection",
        "scan": "film2",
        "source": "picture",
        "grid": {"shape": origin.grid.shape, "affine": origin.grid.affine.tolist()},
        "tables": ["film2_findings.csv"],
        "shape": "box",
        "finding": "shadow",
    }
    summary = tmp_path / "film2_prediction.json"
    summary.write_text(json.dumps(about))
    prediction = read_prediction(summary)
    ((data, settings, kind),) = finding_layers(prediction, origin, grid_of(image))
    layer = getattr(viewer, f"add_{kind}")(data, **settings)
    return SimpleNamespace(
        viewer=viewer, image=image, boxes=boxes, layer=layer, prediction=prediction
    )


def corners_in(layer: Any) -> list[tuple[float, ...]]:
    """Return each shape as x, y, width, height of the image's pixels."""
    boxes = []
    for shape in layer.data:
        low, high = np.min(shape, axis=0), np.max(shape, axis=0)
        boxes.append((low[2], low[1], high[2] - low[2], high[1] - low[1]))
    return boxes


def test_boxes_lie_on_their_pixels(found) -> None:
    layer, image = found.layer, found.image
    np.testing.assert_allclose(corners_in(layer), found.boxes, atol=1e-6)
    x, y, *_ = found.boxes[0]
    np.testing.assert_allclose(
        layer.data_to_world(layer.data[0][0]), image.data_to_world((0, y, x)), atol=1e-6
    )
    brightness = np.asarray(layer.edge_color)[:, :3].sum(axis=1)
    assert brightness[0] > brightness[1] > brightness[2]


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_the_table_filters_boxes_and_leads_to_one(found, qtbot: Any) -> None:
    panel = FindingResult(found.viewer)
    qtbot.addWidget(panel)
    panel.show_prediction(found.prediction, [found.layer])
    assert panel.count.text() == "3 possible shadows · 2 shown · 0 reviewed"
    np.testing.assert_allclose(corners_in(found.layer), found.boxes[:2], atol=1e-6)
    words = found.viewer.layers[-1]
    assert list(words.text.values) == ["0.90", "0.40"]
    panel.least.setValue(0.05)
    np.testing.assert_allclose(corners_in(found.layer), found.boxes, atol=1e-6)
    panel.least.setValue(0.95)
    assert found.layer.nshapes == 0
    panel.least.setValue(0.3)
    np.testing.assert_allclose(corners_in(found.layer), found.boxes[:2], atol=1e-6)
    headers = [panel.table.horizontalHeaderItem(n).text() for n in range(6)]
    assert headers == ["", "Score", "x", "y", "w", "h"]
    assert [panel.table.item(1, n).text() for n in (2, 5)] == ["50", "30"]
    panel.table.selectRow(1)
    there = found.image.data_to_world((0, 75, 60))
    np.testing.assert_allclose(found.viewer.scene.camera.center, there, atol=1e-3)
