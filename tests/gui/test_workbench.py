from __future__ import annotations

from typing import Any

import pytest
from napari.utils.key_bindings import KeyBinding

from scanlearn.gui.kit.widgets import WIDTH
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import origin_of
from scanlearn.gui.workbench import Workbench
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_docks_fit_the_narrow_width_and_keys_work(
    open_dock: Any, scans_folder: Any
) -> None:
    bench = open_dock(Workbench)
    assert bench.tabs.count() == 5
    for index in range(5):
        assert bench.tabs.widget(index).minimumSizeHint().width() <= WIDTH
    viewer = bench.scans.viewer
    data, settings, _ = read_entry(find_scans(scans_folder)[0])
    viewer.add_image(data, **settings)
    press(viewer, "Ctrl+Alt+3")
    assert bench.tabs.tabText(bench.tabs.currentIndex()) == "Fine-tune"
    press(viewer, "Ctrl+Alt+L")
    assert origin_of(viewer.layers[-1]).same_scan(origin_of(viewer.layers[0]))


def press(viewer: Any, key: str) -> None:
    viewer.keymap[KeyBinding.from_str(key)](viewer)
