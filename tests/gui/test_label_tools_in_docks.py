"""Tools beside the brush, by their buttons, on a scan in a real viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QScrollArea

from scanlearn.gui.kit.widgets import WIDTH
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.truth import known_of
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer


@pytest.mark.parametrize("open_dock", ["script"], indirect=True)
def test_tools_change_the_brushs_class_and_are_undone_like_strokes(
    open_dock: Any,
    prepared: Path,
    scans_folder: Path,
    small_launch: Any,
    click: Any,
    qtbot: Any,
) -> None:
    dock = open_dock(FinetuneDock)
    dock.cohorts.open(prepared)
    panel, tools = dock.panel, dock.panel.tools
    qtbot.waitUntil(lambda: panel.keeper.ready, timeout=10_000)
    assert not tools.isVisible()
    data, settings, _ = read_entry(find_scans(scans_folder)[0])
    viewer = dock.viewer
    viewer.add_image(data, **settings)
    click(panel.new_button)
    layer = viewer.layers[-1]
    assert tools.isVisible()
    assert dock.minimumSizeHint().width() <= WIDTH
    assert panel.minimumSizeHint().width() <= WIDTH - 16
    body = dock.findChild(QScrollArea).widget()
    assert body.minimumSizeHint().width() <= WIDTH  # else it scrolls sideways

    def use(name: str) -> None:
        click(tools.buttons[name])
        qtbot.waitUntil(tools.buttons[name].isEnabled, timeout=10_000)

    def counting() -> list[int]:
        known = known_of(layer)
        assert known is not None
        return known.along[0].nonzero()[0].tolist()

    # Fill between.
    layer.brush_size = 9
    for index, value in ((8, 1), (12, 1), (10, 2)):
        viewer.dims.set_current_step(0, index)
        if value == 1:
            layer.paint((index, 20, 20), 1)
    use("Fill between")
    assert counting() == [8, 9, 10, 11, 12]
    assert np.array_equal(layer.data[10] == 1, layer.data[8] == 1)
    layer.undo()
    assert not layer.data[9:12].any()
    layer.redo()
    assert layer.data[9:12].any()
    use("Fill between")  # nothing is left to fill
    assert "no slice to fill" in dock.notice.text.text()

    # Copy to the next slice, and go there.
    viewer.dims.set_current_step(0, 12)
    use("Copy to next")
    assert np.array_equal(layer.data[13], layer.data[12])
    assert panel.tracker.slice_in_view(layer) == (0, 13)
    assert counting() == [8, 9, 10, 11, 12, 13]

    # The other side: the phantom's middle is that of its body.
    use("Mirror")
    painted = np.flatnonzero((layer.data[13] == 1).any(axis=0))
    body = np.flatnonzero((data[13] > -500).any(axis=0))
    assert abs(painted[0] + painted[-1] - (body[0] + body[-1])) <= 2
    assert not np.array_equal(layer.data[13], layer.data[12])

    # The largest piece of the whole scan; what was not looked at does not count by it.
    before = counting()
    use("Keep largest")
    assert counting() == before
    assert np.array_equal(layer.data[13] == 1, layer.data[12] == 1)

    # A crumb is smoothed away.
    layer.brush_size = 1
    layer.paint((13, 40, 50), 1)
    assert layer.data[13, 40, 50] == 1
    use("Smooth")
    assert layer.data[13, 40, 50] == 0

    # A brush that keeps within a window paints lung, not its wall.
    tools.within.click()
    tools.low.setValue(-1100)
    tools.high.setValue(-500)
    viewer.dims.set_current_step(0, 20)
    layer.brush_size = 30
    layer.paint((20, 26, 20), 1)
    inside = data[20] <= -500
    qtbot.waitUntil(lambda: not layer.data[20][~inside].any(), timeout=5_000)
    assert layer.data[20].any()
    layer.undo()
    assert not layer.data[20].any()
    qtbot.waitUntil(lambda: not panel.keeper.unkept, timeout=10_000)
