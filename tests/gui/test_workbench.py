from __future__ import annotations

from typing import Any

import pytest
from napari.utils.key_bindings import KeyBinding

from scanlearn.gui.kit.widgets import WIDTH
from scanlearn.gui.shared.state import shared_state
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


def test_what_runs_is_seen_from_every_tab(
    open_dock: Any,
    make_run: Any,
    small_launch: Any,
    monkeypatch: pytest.MonkeyPatch,
    click: Any,
    qtbot: Any,
) -> None:
    monkeypatch.setenv("SMALL_WORKER_STEPS", "100000")
    run = make_run("2026-11-21_drasclr_chest")
    small_launch(run)
    qtbot.waitUntil(lambda: run.last_event() is not None, timeout=20_000)
    bench = open_dock(Workbench)
    assert bench.tabs.currentWidget() is bench.scans
    qtbot.waitUntil(bench.running.isVisible, timeout=20_000)
    assert "drasclr_chest" in bench.running.text.text()
    assert "%" in bench.running.text.text()
    click(bench.running.show_button)
    assert bench.tabs.currentWidget() is bench.runs
    qtbot.waitUntil(lambda: bench.runs.card is not None, timeout=20_000)
    run.request_stop()
    qtbot.waitUntil(lambda: not bench.running.isVisible(), timeout=30_000)


def test_what_one_dock_learned_of_the_device_is_told_in_the_other(
    open_dock: Any, prepared: Any, qtbot: Any
) -> None:
    bench = open_dock(Workbench)
    shared_state().choose_cohort(prepared)
    bench.tabs.setCurrentWidget(bench.pretrain)
    told = bench.pretrain.plan.device
    qtbot.waitUntil(lambda: "Looking" not in told.text(), timeout=60_000)
    bench.tabs.setCurrentWidget(bench.finetune)
    assert bench.finetune.plan.device.text() == told.text()
