"""What an encoder learned, seen before any label: encoded by a real process."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scanlearn.gui.runs.dock import RunsDock
from scanlearn.gui.tasks.segmentation.panel import PaintedPanel
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import KNOWN, grid_of
from scanlearn.prediction.representation.likeness import UNKNOWN
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer
TESTS = Path(__file__).resolve().parents[1]
RUNS = TESTS / "compatibility" / "fixtures" / "v0_1" / "runs"


@pytest.fixture
def dock(open_dock: Any, qtbot: Any, places: Any, scans_folder: Path) -> Any:
    """Return a Runs dock with a pre-training of 0.1 selected and two scans shown."""
    shutil.copytree(RUNS / "drasclr", places.runs / "drasclr")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(dock.likes.isVisible, timeout=10_000)
    assert "Add a scan" in dock.likes.read_button.toolTip()
    for entry in find_scans(scans_folder):
        voxels, settings, _ = read_entry(entry)
        dock.viewer.add_image(voxels, **settings)
    return dock


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_a_click_lights_up_its_likes_in_all_scans_and_becomes_a_label(
    dock: Any, qtbot: Any, click: Any
) -> None:
    section, viewer = dock.likes, dock.viewer
    scans = list(viewer.layers)
    assert "Read the features" in section.click_button.toolTip()
    for number, scan in enumerate(scans, start=1):
        section.scans.setCurrentIndex(section.scans.findData(scan.name))
        click(section.read_button)
        qtbot.waitUntil(lambda n=number: len(section.encoded) == n, timeout=120_000)
    assert "are read" in section.read_button.toolTip()
    mine, other = section.encoded[1], section.encoded[0]
    assert [one.layer.visible for one in (mine, other)] == [False, False]

    click(section.click_button)
    points = section.points
    assert points.mode == "add"
    cell = mine.features.cells[len(mine.features.cells) // 2].astype(float)
    place = mine.features.grid.to_patient(cell)
    begun = time.thread_time()
    points.add(points.world_to_data(place[::-1]))
    assert time.thread_time() - begun < 0.2
    vector = mine.features.at(place)
    for one in (mine, other):
        assert one.layer.visible
        expected = one.features.vectors @ vector
        found = np.asarray(one.layer.data)[tuple(one.features.cells.T)]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    known = np.asarray(mine.layer.data)
    known = known[known > UNKNOWN]
    share = (known >= section.slider.value()).mean()
    assert 0.02 < share < 0.12

    # The slider decides what is lit: nothing is computed again.
    least = float(np.quantile(known, 0.5))
    section.slider.setValue(least)
    assert mine.layer.contrast_limits[0] == pytest.approx(least, abs=2e-3)

    viewer.dims.set_point(0, float(place[2]))
    click(section.label_button)
    qtbot.waitUntil(lambda: len(viewer.layers) == 6, timeout=20_000)
    label = viewer.layers[-1]
    scan = scans[1]
    assert label.data.shape == scan.data.shape
    assert grid_of(label).matches(grid_of(scan))
    index = np.rint(grid_of(scan).to_index(place)).astype(int)
    assert label.data[tuple(index)] == 1
    assert set(np.unique(label.data)) == {0, 1}
    # Only the slice in view is truth, as the panel that takes it in says.
    truth = label.metadata[KNOWN]
    assert [int(part.sum()) for part in truth.along] == [1, 0, 0]
    assert truth.holds(0, int(index[0]))
    viewer.layers.selection.active = label
    panel = PaintedPanel(viewer)
    qtbot.addWidget(panel)
    click(panel.use_button)
    qtbot.waitUntil(lambda: bool(panel.labels.sources), timeout=20_000)
    assert "1 of" in panel.labels.item(0).text()


def test_a_click_beside_the_tissue_says_so(dock: Any, qtbot: Any, click: Any) -> None:
    section = dock.likes
    click(section.read_button)
    qtbot.waitUntil(lambda: bool(section.encoded), timeout=120_000)
    click(section.click_button)
    section.points.add(section.points.world_to_data([9_000.0, 0.0, 0.0]))
    assert "No features are known" in section.notice.text.text()
    assert not section.encoded[0].layer.visible
    assert section.label_button.toolTip() == "Click on tissue first"
