"""Similar scans in the Runs dock: asked, listed, opened at the same place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.gui.runs.dock import RunsDock
from scanlearn.gui.runs.similar_scans import FOUND
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of
from scanlearn.runs.events import Saved
from scanlearn.runs.folder import EventLog
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer
SCRIPT = Path(__file__).parent / "small_search.py"


@pytest.fixture
def dock(open_dock, qtbot, make_run, scans_folder, monkeypatch):
    """Return a Runs dock with a pre-training selected and a scan shown."""
    real = subprocess.Popen
    monkeypatch.setattr(
        "scanlearn.runs.jobs.subprocess.Popen",
        lambda command, **settings: real(
            [sys.executable, str(SCRIPT), *command[3:]], **settings
        ),
    )
    run = make_run("pretraining")
    log = EventLog(run)
    log.write(Saved(step=10, name="last"))
    log.close()
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.similar.isVisible(), timeout=10_000)
    voxels, settings, _ = read_entry(find_scans(scans_folder)[0])
    dock.viewer.add_image(voxels, **settings)
    return dock


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_a_found_scan_opens_beside_at_the_same_place(
    dock, qtbot, click, prepared
) -> None:
    box, viewer = dock.similar, dock.viewer
    scan = viewer.layers[0]
    point = grid_of(scan).centre + np.array([12.0, -8.0, 15.0])
    click(box.mark_button)
    marks = viewer.layers["place"]
    assert box.places.currentData() == "place"
    assert marks.mode == "add"
    assert "Set a point" in box.search_button.toolTip()
    marks.add(marks.world_to_data(point[::-1]))
    assert viewer.dims.nsteps[0] == scan.data.shape[0]
    click(box.search_button)
    qtbot.waitUntil(lambda: box.list.count() == 2, timeout=20_000)
    keys = Cohort(prepared).keys()
    assert [found.scan for found in box.found] == keys
    assert "0.90" in box.list.item(0).text()
    assert not box.list.item(0).icon().isNull()
    expected = point + np.array([10, 0, -20])
    np.testing.assert_allclose(box.found[0].position, expected, atol=1e-3)

    box.list.setCurrentRow(1)
    click(box.open_button)
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=20_000)
    layer = viewer.layers[2]
    assert layer.metadata[FOUND] == keys[1]
    assert viewer.grid.enabled
    # The place asked for and the place found lie on each other.
    moved, own = grid_of(layer), Cohort(prepared).grid(keys[1])
    index = own.to_index(box.found[1].position)
    np.testing.assert_allclose(moved.to_patient(index), point, atol=1e-3)
    assert viewer.dims.point[0] == pytest.approx(point[2], abs=10)
    mark = viewer.layers[3]
    world = mark.data_to_world(mark.data[0])
    np.testing.assert_allclose(world, point[::-1], atol=1e-3)
    assert viewer.grid.stride == 2
    # It is no scan to paint or to search with.
    names = [box.scans.itemData(n) for n in range(box.scans.count())]
    assert names == [scan.name]


def test_what_is_missing_is_said(dock) -> None:
    box = dock.similar
    assert box.search_button.isEnabled()
    dock.viewer.add_points(ndim=3, name="empty")
    box.places.setCurrentIndex(box.places.findData("empty"))
    assert not box.search_button.isEnabled()
    assert "Set a point" in box.search_button.toolTip()
    dock.viewer.layers.clear()
    assert "Add a scan" in box.search_button.toolTip()


def test_a_fine_tuning_has_no_such_section(open_dock, qtbot, make_run) -> None:
    run = make_run("lungs", "finetune")
    (run.checkpoints / "model.json").write_text("{}")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.chosen() is not None, timeout=10_000)
    assert not dock.similar.isVisible()
