"""The model card in the Runs dock: written by a real process, its paragraph copied."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtGui import QDesktopServices, QGuiApplication

from scanlearn.gui.runs.dock import RunsDock

pytestmark = pytest.mark.viewer


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_a_card_is_written_opened_and_its_methods_are_copied(
    open_dock: Any,
    make_finished: Any,
    click: Any,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_finished("2026-11-21_drasclr_chest", "pretrain")
    (run.checkpoints / "encoder.json").write_text('{"architecture": "dense-encoder"}')
    dock = open_dock(RunsDock)
    section = dock.model_card
    qtbot.waitUntil(section.isVisible, timeout=10_000)
    assert section.copy_button.toolTip() == "Write the card first"
    click(section.write_button)
    assert section.write_button.toolTip() == "A card is being written"
    qtbot.waitUntil(section.copy_button.isEnabled, timeout=60_000)
    card = (run.path / "model_card.md").read_text("utf-8")
    click(section.copy_button)
    copied = QGuiApplication.clipboard().text()
    assert copied.startswith("A model (")
    assert copied in card
    assert "##" not in copied
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    click(section.open_button)
    assert opened[0].toLocalFile() == str(run.path / "model_card.html")


def test_a_card_of_a_run_that_saved_nothing_says_why(
    open_dock: Any, make_finished: Any, click: Any, qtbot: Any
) -> None:
    make_finished("2026-11-21_drasclr_chest", "pretrain")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(dock.model_card.isVisible, timeout=10_000)
    click(dock.model_card.write_button)
    qtbot.waitUntil(dock.model_card.notice.isVisible, timeout=60_000)
    assert "has no trained model yet" in dock.model_card.notice.text.text()
