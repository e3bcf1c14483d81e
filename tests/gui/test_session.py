"""After a restart the docks know what they worked on; before it nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scanlearn.cohort.labels.kept_labels import kept_keys
from scanlearn.gui.shared.session import remember, remembered
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.workbench import Workbench
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer

ASK = "scanlearn.gui.tasks.segmentation.close_guard.close_anyway"


def test_folder_cohort_masks_and_classes_are_there_after_a_restart(
    open_dock: Any, prepared: Path, scans_folder: Path, qtbot: Any
) -> None:
    bench = open_dock(Workbench)
    bench.scans.open_path(scans_folder)
    bench.finetune.cohorts.open(prepared)  # kept elsewhere
    panel = bench.finetune.panel
    qtbot.waitUntil(lambda: panel.keeper.ready, timeout=10_000)
    masks = next((scans_folder.parent / "labels").rglob("*lungs*"))
    masks = masks if masks.is_dir() else masks.parent
    panel.labels.add(masks)
    panel.classes.names[1].setText("lung")
    panel.classes.add("lesion")
    qtbot.waitUntil(lambda: bench.scans.list.count() == 2, timeout=20_000)

    shared_state.cache_clear()  # as a new process has it
    again = open_dock(Workbench)
    qtbot.waitUntil(lambda: again.scans.list.count() == 2, timeout=20_000)
    assert again.finetune.cohorts.cohort == prepared
    panel = again.finetune.panel
    qtbot.waitUntil(lambda: panel.labels.folder() == masks, timeout=10_000)
    assert panel.classes.classes() == {1: "lung", 2: "lesion"}


def test_what_is_gone_is_not_missed(
    open_dock: Any, tmp_path: Path, prepared: Path
) -> None:
    remember(scans=str(tmp_path / "gone"), cohort=str(tmp_path / "gone"))
    shared_state.cache_clear()
    bench = open_dock(Workbench)
    assert not bench.scans.welcome.isHidden()
    assert bench.finetune.cohorts.cohort is None
    assert remembered()["scans"] == str(tmp_path / "gone")  # it may come back


@pytest.mark.parametrize("content", ["", "[1, 2]", "no json"])
def test_a_damaged_note_is_as_none(content: str) -> None:
    from scanlearn.cohort.keys import settings_folder

    (settings_folder() / "session.json").write_text(content)
    assert remembered() == {}
    remember(scans="there")
    assert remembered() == {"scans": "there"}


def test_painted_layers_that_are_kept_nowhere_hold_napari_open(
    open_dock: Any,
    prepared: Path,
    scans_folder: Path,
    small_launch: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    click: Any,
    qtbot: Any,
) -> None:
    asked: list[list[str]] = []

    def stay(layers: list[str]) -> bool:
        asked.append(layers)
        return False

    monkeypatch.setattr(ASK, stay)
    dock = open_dock(FinetuneDock)
    dock.cohorts.open(prepared)
    panel = dock.panel
    qtbot.waitUntil(lambda: panel.keeper.ready, timeout=10_000)
    stranger = tmp_path / "stranger.nii.gz"
    stranger.write_bytes(next(scans_folder.rglob("*.nii.gz")).read_bytes())
    kept = find_scans(scans_folder)[0]
    for entry in (find_scans(stranger)[0], kept):
        data, settings, _ = read_entry(entry)
        dock.viewer.add_image(data, **settings)
        click(panel.new_button)
        dock.viewer.dims.set_current_step(0, 8)
        dock.viewer.layers[-1].paint((8, 20, 20), 1)
    lost = dock.viewer.layers[1]
    dock.window().close()
    assert asked == [[lost.name]]  # the other one is in the cohort by now
    assert dock.window().isVisible()
    assert len(kept_keys(prepared)) == 1
    monkeypatch.setattr(ASK, lambda *_: True)
    dock.viewer.layers.remove(lost)
    assert panel.keeper.flush() == []
    qtbot.waitUntil(lambda: not panel.keeper.unkept, timeout=10_000)
