from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from qtpy.QtGui import QGuiApplication
from safetensors.torch import save_file

from scanlearn.gui.runs.dock import RunsDock
from scanlearn.runs.events import Crashed, Started, Step
from scanlearn.runs.folder import EventLog, RunFolder
from scanlearn.runs.slurm import batch_script

pytestmark = pytest.mark.viewer


def test_no_runs_yet_says_what_a_run_is(open_dock: Any) -> None:
    dock = open_dock(RunsDock)
    assert dock.welcome.isVisibleTo(dock)
    assert not dock.table.isVisibleTo(dock)
    assert dock.resume_button.toolTip() == "Select a run first"


def test_a_running_run_is_found_watched_and_stopped(
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
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.card is not None, timeout=10_000)
    assert dock.table.item(0, 0).text() == "drasclr_chest"
    card = dock.card
    qtbot.waitUntil(lambda: card.story.step > 5, timeout=20_000)
    assert "going on" in dock.resume_button.toolTip() or "running" in (
        dock.resume_button.toolTip()
    )
    click(dock.stop_button)
    qtbot.waitUntil(lambda: run.state() == "stopped", timeout=20_000)
    qtbot.waitUntil(dock.resume_button.isEnabled, timeout=10_000)
    assert dock.table.item(0, 2).text() == "stopped"
    assert dock.table.item(0, 3).text() == "dice 0.50"


def test_a_crashed_run_is_explained_and_resumed(
    open_dock: Any, make_run: Any, small_launch: Any, click: Any, qtbot: Any
) -> None:
    run = make_run("2026-11-21_drasclr_chest")
    log = EventLog(run)
    log.write(Started(steps=30))
    log.write(Step(step=3, values={"loss": 1.0}))
    log.write(Crashed(error="Memory ran out", details="a long report"))
    log.close()
    dock = open_dock(RunsDock)
    qtbot.waitUntil(
        lambda: dock.card is not None and dock.card.notice.isVisible(), timeout=10_000
    )
    assert "Memory ran out" in dock.card.notice.text.text()
    assert dock.table.item(0, 2).text() == "crashed"
    click(dock.resume_button)
    qtbot.waitUntil(lambda: run.state() == "finished", timeout=20_000)
    qtbot.waitUntil(lambda: dock.table.item(0, 2).text() == "finished", timeout=10_000)
    assert not dock.resume_button.isEnabled()
    assert not dock.card.notice.isVisible()


def test_an_unreadable_run_is_listed(open_dock: Any, make_run: Any, qtbot: Any) -> None:
    run = make_run("broken")
    (run.path / "config.yaml").write_text("kind: nothing\n")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 1, timeout=10_000)
    assert dock.table.item(0, 2).text() == "unreadable"
    assert dock.notice.isVisible()


DAMAGE: dict[str, tuple[Callable[[RunFolder], object], str]] = {
    "run.json": (lambda run: (run.path / "run.json").touch(), "unreadable"),
    "events": (lambda run: run.events_file.write_text("{\n"), "unreadable"),
    "newer": (
        lambda run: (run.path / "config.yaml").write_text("format: 2\n"),
        "newer",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_run_is_a_row_beside_the_others(
    open_dock: Any, make_run: Any, make_finished: Any, qtbot: Any, what: str
) -> None:
    make_finished("good", "pretrain")
    run = make_run("broken")
    break_it, word = DAMAGE[what]
    break_it(run)
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2, timeout=10_000)
    words = {row.name: row.state for row in dock.table.rows}
    assert words == {"good": "finished", "broken": word}
    dock.table.choose(run.path)
    assert dock.card is None
    assert dock.notice.isVisible()
    assert not dock.resume_button.isEnabled()
    assert not dock.stop_button.isEnabled()
    # It stays that way when it is looked at again: half a story is not told.
    dock.state.runs.refresh()
    qtbot.wait(500)
    assert {row.name: row.state for row in dock.table.rows} == words


def test_a_run_deleted_under_the_dock_is_told(
    open_dock: Any, make_run: Any, qtbot: Any
) -> None:
    run = make_run("2026-11-21_drasclr_chest")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.card is not None, timeout=10_000)
    shutil.rmtree(run.path)
    dock.resume()
    qtbot.waitUntil(lambda: dock.notice.isVisible(), timeout=10_000)
    assert "does not exist" in dock.notice.text.text()
    qtbot.waitUntil(lambda: not dock.table.rows, timeout=10_000)


def test_a_run_is_shared_as_one_file(
    open_dock: Any, make_finished: Any, tmp_path: Path, qtbot: Any
) -> None:
    run = make_finished("2026-11-21_drasclr_chest", "pretrain")
    save_file({"w": torch.zeros(2)}, run.checkpoints / "encoder.safetensors")
    (run.checkpoints / "encoder.json").write_text("{}")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.card is not None, timeout=10_000)
    assert dock.share.isVisibleTo(dock)
    dock.share.share(tmp_path / "given")
    assert not dock.share.share_button.isEnabled()
    qtbot.waitUntil(lambda: "Written" in dock.share.written.text(), timeout=60_000)
    assert (tmp_path / "given.zip").is_file()
    assert dock.share.share_button.isEnabled()


def test_a_run_that_cannot_be_shared_says_why(
    open_dock: Any, make_finished: Any, tmp_path: Path, qtbot: Any
) -> None:
    make_finished("2026-11-21_drasclr_chest", "pretrain")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.card is not None, timeout=10_000)
    dock.share.share(tmp_path / "given.zip")
    qtbot.waitUntil(dock.share.notice.isVisible, timeout=60_000)
    assert "no trained model yet" in dock.share.notice.text.text()
    assert not list(tmp_path.glob("*.zip*"))


def test_a_cluster_gets_a_script(open_dock: Any, make_run: Any, qtbot: Any) -> None:
    run = make_run("2026-11-21_drasclr_chest")
    log = EventLog(run)
    log.write(Crashed(error="Memory ran out", details="a long report"))
    log.close()
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.card is not None, timeout=10_000)
    shown = dock.card.show_batch_script()
    shown.cards.setValue(4)
    assert "#SBATCH --gpus-per-node=4" in shown.text.toPlainText()
    shown.copy_button.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == batch_script(run, cards=4, hours=24)
    shown.close()
