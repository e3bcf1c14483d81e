"""From the plugin menu to the first overlay: few clicks, minutes, no network."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from scanlearn.gui.viewer.layers import CLASSES, grid_of
from scanlearn.gui.workbench import Workbench

pytestmark = pytest.mark.viewer

_MOST_CLICKS = 8
_MOST_SECONDS = 300


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_the_first_overlay_takes_few_clicks(
    open_dock: Any,
    places: SimpleNamespace,
    qtbot: Any,
    click: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    began, clicks = time.monotonic(), 0

    def press(button: Any) -> None:
        nonlocal clicks
        clicks += 1
        qtbot.waitUntil(button.isVisible, timeout=10_000)
        click(button)

    bench = open_dock(Workbench)
    clicks += 3  # Plugins, Scanlearn, Workbench
    dock = bench.scans
    assert bench.tabs.currentWidget() is dock
    press(dock.try_it.button)
    layers = dock.viewer.layers
    qtbot.waitUntil(lambda: len(layers) == 1, timeout=_MOST_SECONDS * 1000)
    press(dock.try_it.overlays["nodules"])
    assert len(layers) == 2
    labels = layers[1]
    assert isinstance(labels, Labels)
    assert labels.visible
    assert grid_of(labels).matches(grid_of(layers[0]))
    assert labels.metadata[CLASSES] == {1: "nodule"}
    # What is in sight shows some of it.
    index = round(labels.world_to_data(dock.viewer.dims.point)[0])
    assert np.any(labels.data[index])
    assert clicks <= _MOST_CLICKS
    assert time.monotonic() - began < _MOST_SECONDS

    for other in ("lungs", "emphysema"):
        press(dock.try_it.overlays[other])
    assert len(layers) == 4
