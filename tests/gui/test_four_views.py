"""Four linked views of a scan, its labels and findings; brightness by dragging."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scanlearn.gui.scans.dock import ScansDock
from scanlearn.gui.viewer.crosshair import segments
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.four_views import four_views_of
from scanlearn.gui.viewer.layers import set_contrast
from scanlearn.gui.viewer.new_layers import new_labels
from scanlearn.gui.viewer.orientation import show_orientation
from scanlearn.gui.viewer.window_drag import dragged
from scanlearn.gui.viewer.world_points import in_voxels, world_points
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer


@pytest.fixture
def dock(open_dock: Any, scans_folder: Path, qtbot: Any) -> ScansDock:
    dock = open_dock(ScansDock)
    data, settings, _ = read_entry(find_scans(scans_folder)[0])
    dock.viewer.add_image(data, **settings)
    show_orientation(dock.viewer)
    return dock


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_four_views_show_the_same_and_go_together(
    dock: ScansDock, click: Any, qtbot: Any
) -> None:
    viewer, button = dock.viewer, dock._bar.layout_button
    labels = new_labels(viewer, {1: "lesion"})
    middle = np.array(viewer.dims.point)
    finding = viewer.add_points(
        in_voxels([middle]), size=in_voxels(30.0), **world_points()
    )
    qtbot.waitUntil(button.isVisible, timeout=10_000)
    click(button)
    four = four_views_of(dock.window())
    assert four is not None
    coronal, sagittal, deep = four.others
    for view in four.others:
        qtbot.waitUntil(lambda view=view: len(view.model.layers) == 3, timeout=5_000)
        assert [one.name for one in view.model.layers] == [
            one.name for one in viewer.layers
        ]
        qtbot.waitUntil(view.isVisible, timeout=10_000)
    assert viewer.dims.order == (0, 1, 2)
    assert coronal.model.dims.order == (1, 0, 2)
    assert sagittal.model.dims.order == (2, 0, 1)
    assert deep.model.dims.ndisplay == 3
    letters = coronal.model.canvas.overlays
    assert letters["scanlearn_top_center"].text == "S"  # the head is up
    assert letters["scanlearn_middle_right"].text == "L"
    # Overlays of one place are stacked: the bar covers no letter.
    below = letters["scanlearn_bottom_center"].position
    assert letters["scale_bar"].position == below
    assert viewer.canvas.overlays["scale_bar"].position == below

    # A click in one takes all there.
    place = tuple(middle + np.array([20.0, -30.0, 24.0]))
    press(coronal.model, place, button=1)
    assert np.allclose(viewer.dims.point, place)
    assert np.allclose(coronal.model.dims.point, place)
    assert np.allclose(sagittal.model.dims.point, place)

    # What is painted, hidden, brightened or moved is so in all of them.
    labels.data_setitem((np.array([3]), np.array([4]), np.array([5])), 1)
    copy = coronal.model.layers[1]
    assert copy.data[3, 4, 5] == 1
    set_contrast(viewer.layers[0], -160, 240)
    assert tuple(coronal.model.layers[0].contrast_limits) == (-160, 240)
    assert tuple(deep.model.layers[0].contrast_limits) == (100, 800)  # bones
    finding.shown = [False]
    qtbot.waitUntil(lambda: not sagittal.model.layers[2].shown[0], timeout=5_000)
    viewer.layers.remove(finding)
    qtbot.waitUntil(lambda: len(sagittal.model.layers) == 2, timeout=5_000)

    click(button)
    assert four_views_of(dock.window()) is None
    assert not coronal.isVisible()
    assert viewer.canvas.overlays["scale_bar"].position == "bottom_right"
    viewer.dims.point = tuple(middle)  # nothing is left that follows
    click(button)  # closed with its window, while four are shown
    assert four_views_of(dock.window()) is not None


def test_the_crosshair_lies_on_its_point() -> None:
    ranges = ((0.0, 100.0, 1.0), (-50.0, 50.0, 1.0), (-60.0, 60.0, 1.0))
    lines = segments((10.0, 20.0, 30.0), ranges, (0, 2))  # coronal: S down, L across
    assert lines.tolist() == [[30, 0], [30, 100], [-60, 10], [60, 10]]
    assert segments((10.0, 20.0, 30.0), ranges, (0, 1, 2)).shape == (6, 3)


def test_a_right_drag_changes_the_window(dock: ScansDock) -> None:
    viewer = dock.viewer
    scan = viewer.layers[0]
    set_contrast(scan, -160, 240)
    press(viewer, tuple(viewer.dims.point), button=2, by=(100, 0))
    low, high = scan.contrast_limits
    assert (low + high) / 2 == pytest.approx(40)
    assert high - low > 500
    assert viewer.scene.camera.mouse_pan
    set_contrast(scan, -160, 240)
    press(viewer, tuple(viewer.dims.point), button=2, by=(0, -30))
    assert tuple(scan.contrast_limits) == pytest.approx((-200, 200))
    assert dragged((0.0, 1.0), -1e6, 0)[1] > dragged((0.0, 1.0), -1e6, 0)[0]


def test_presets_have_keys(dock: ScansDock) -> None:
    from napari.utils.key_bindings import KeyBinding

    viewer = dock.viewer
    viewer.keymap[KeyBinding.from_str("Alt+3")](viewer)
    assert tuple(viewer.layers[0].contrast_limits) == (-160, 240)  # mediastinum


def press(
    viewer: Any,
    place: tuple[float, ...],
    *,
    button: int,
    by: tuple[int, int] = (0, 0),
) -> None:
    """Press, move and release the mouse, as napari hands it to its callbacks."""
    event = SimpleNamespace(
        type="mouse_press", button=button, position=place, pos=(50, 50), modifiers=()
    )
    running = [call(viewer, event) for call in viewer.mouse_drag_callbacks]
    alive = [one for one in running if one is not None and step(one)]
    event.type, event.pos = "mouse_move", (50 + by[0], 50 + by[1])
    alive = [one for one in alive if step(one)]
    event.type = "mouse_release"
    for one in alive:
        step(one)


def step(generator: Any) -> bool:
    return next(generator, "over") != "over"
