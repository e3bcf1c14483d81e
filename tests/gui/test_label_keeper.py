"""Strokes are kept in the cohort as they are made, and come back with their scan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.kept_labels import kept_keys, kept_path, read_kept
from scanlearn.gui.tasks.shared.scan_keys import scan_key_of
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.gui.viewer.truth import known_of
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer


@pytest.fixture
def start(
    open_dock: Any, prepared: Path, scans_folder: Path, small_launch: Any, qtbot: Any
) -> Callable[[], tuple[FinetuneDock, Any]]:
    """Return a function that opens napari, the dock and the first scan."""

    def begin() -> tuple[FinetuneDock, Any]:
        dock = open_dock(FinetuneDock)
        dock.cohorts.open(prepared)
        qtbot.waitUntil(lambda: dock.panel.keeper.ready, timeout=10_000)
        data, settings, _ = read_entry(find_scans(scans_folder)[0])
        return dock, dock.viewer.add_image(data, **settings)

    return begin


def stroke(dock: Any, layer: Any, index: int, value: int = 1) -> None:
    dock.viewer.dims.set_current_step(0, index)
    layer.brush_size = 6
    layer.paint((index, 20, 20), value)


def rest(dock: FinetuneDock, qtbot: Any) -> None:
    """Wait until all strokes are written."""
    qtbot.waitUntil(lambda: not dock.panel.keeper.unkept, timeout=10_000)


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_strokes_come_back_after_a_restart(
    start: Any, prepared: Path, click: Any, qtbot: Any
) -> None:
    dock, image = start()
    panel = dock.panel
    panel.classes.names[1].setText("lung")
    click(panel.new_button)
    layer = dock.viewer.layers[-1]
    for index in (8, 15, 16):
        stroke(dock, layer, index)
    assert panel.keeper.unkept == [layer.name]
    rest(dock, qtbot)
    # Without a button, the scan is listed and its labels are in the cohort's folder.
    qtbot.waitUntil(lambda: len(panel.labels.sources) == 1, timeout=5_000)
    assert "3 of 31 axial slices" in panel.labels.item(0).text()
    assert panel.truth.saved.text().startswith("Saved ")
    key = scan_key_of(origin_of(image), image.name, Cohort(prepared))
    assert kept_keys(prepared) == [key]
    path = kept_path(prepared, key)
    assert np.array_equal(read_kept(path).labels, layer.data)

    layer.undo()  # what is undone is kept, too, and can be done again
    qtbot.waitUntil(lambda: not read_kept(path).labels[16].any(), timeout=10_000)
    layer.redo()
    qtbot.waitUntil(lambda: read_kept(path).labels[16].any(), timeout=10_000)
    painted, grid = np.array(layer.data), grid_of(layer)

    again, _ = start()
    listed = again.panel.labels
    qtbot.waitUntil(lambda: len(listed.sources) == 1, timeout=10_000)
    assert "3 of 31 axial slices" in listed.item(0).text()
    assert again.panel.classes.classes() == {1: "lung"}
    qtbot.waitUntil(lambda: len(again.viewer.layers) == 2, timeout=10_000)
    back = again.viewer.layers[-1]
    assert np.array_equal(back.data, painted)
    assert grid_of(back).matches(grid)
    assert back.name == layer.name
    known = known_of(back)
    assert known is not None
    assert known.along[0].nonzero()[0].tolist() == [8, 15, 16]
    stroke(again, back, 20)
    rest(again, qtbot)
    kept = read_kept(path)
    assert kept.labels[20].any()
    assert kept.labels[8].any()


def test_another_layer_of_the_scan_adds_to_what_is_kept(
    start: Any, prepared: Path, click: Any, qtbot: Any
) -> None:
    dock, image = start()
    panel = dock.panel
    click(panel.new_button)
    first = dock.viewer.layers[-1]
    stroke(dock, first, 8)
    rest(dock, qtbot)
    dock.viewer.layers.selection.active = image
    click(panel.new_button)
    second = dock.viewer.layers[-1]
    stroke(dock, second, 20, 2)
    rest(dock, qtbot)
    (key,) = kept_keys(prepared)
    kept = read_kept(kept_path(prepared, key))
    assert np.array_equal(kept.labels[8], first.data[8])
    assert np.array_equal(kept.labels[20], second.data[20])
    stroke(dock, first, 9)
    rest(dock, qtbot)
    kept = read_kept(kept_path(prepared, key))
    assert np.array_equal(kept.labels[20], second.data[20])
    assert kept.facts.known.along[0].nonzero()[0].tolist() == [8, 9, 20]


def test_a_folder_that_cannot_be_written_is_told(
    start: Any, prepared: Path, click: Any, qtbot: Any
) -> None:
    dock, _ = start()
    click(dock.panel.new_button)
    layer = dock.viewer.layers[-1]
    (prepared / "painted").write_text("in the way")
    try:
        stroke(dock, layer, 8)
        qtbot.waitUntil(dock.notice.isVisible, timeout=10_000)
        assert "painted" in dock.notice.text.text()
        assert dock.panel.keeper.unkept == [layer.name]
    finally:
        (prepared / "painted").unlink()
    stroke(dock, layer, 9)
    rest(dock, qtbot)
    (key,) = kept_keys(prepared)
    assert read_kept(kept_path(prepared, key)).labels[8].any()


def test_strokes_just_before_the_end_are_kept(
    start: Any, prepared: Path, click: Any
) -> None:
    dock, _ = start()
    click(dock.panel.new_button)
    stroke(dock, dock.viewer.layers[-1], 8)
    assert not kept_keys(prepared)
    dock.panel.keeper.flush()
    assert len(kept_keys(prepared)) == 1
