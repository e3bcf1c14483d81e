"""Runs are named, found, sorted and moved to the bin through the dock's widgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from scanlearn.gui.runs.dock import RunsDock
from scanlearn.gui.runs.run_order import ORDERS, found_runs, sorted_runs
from scanlearn.gui.runs.runs_table import RunsTable
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.runs.about import About, parse_tags, read_about, write_about
from scanlearn.runs.events import Epoch, Finished, Started
from scanlearn.runs.folder import EventLog, RunFolder

viewer = pytest.mark.viewer


def row(name: str, **facts: Any) -> RunRow:
    facts = {"kind": "pretrain", "method": "drasclr", "state": "finished"} | facts
    return RunRow(Path("/runs") / name, **facts)


def test_runs_are_found_by_all_that_is_said_of_them() -> None:
    rows = [
        row("2026-01-01_a", about=About(name="Chest", tags=("paper",))),
        row("2026-01-02_b", state="crashed", about=About(note="too few lesions")),
    ]
    for words, expected in {
        "": [0, 1],
        "chest PAPER": [0],
        "crashed": [1],
        "few les": [1],
        "drasclr": [0, 1],
        "chest crashed": [],
        "2026-01-02": [1],
    }.items():
        assert found_runs(rows, words) == [rows[n] for n in expected], words


def test_runs_are_sorted_by_number_not_by_text() -> None:
    rows = [
        row("n", best="dice 0.9", seconds=5.0, disk_bytes=10),
        row("B", best="", seconds=50.0, disk_bytes=9),
        row("a", best="R2 -3.16", seconds=7.0, disk_bytes=1000, state="running"),
        row("c", best="12.5× chance", state="crashed"),
    ]
    found = {
        order: "".join(run.name for run in sorted_runs(rows, order)) for order in ORDERS
    }
    assert found == {
        "newest first": "nBac",
        "name": "aBcn",
        "method": "nBac",
        "state": "acnB",
        "best score": "cnaB",
        "longest": "Banc",
        "largest": "anBc",
    }


@given(st.text())
def test_tags_read_back_as_they_are(text: str) -> None:
    tags = parse_tags(text)
    assert parse_tags(", ".join(tags)) == tags
    assert len(set(tags)) == len(tags)
    assert all(tag.strip() == tag != "" for tag in tags)


def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    assert read_about(tmp_path) == About()
    (tmp_path / "about.json").write_text("{")
    assert read_about(tmp_path) == About()
    write_about(tmp_path, About(name="x", tags=("b", "a")))
    assert read_about(tmp_path) == About(name="x", tags=("b", "a"))


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where what is moved to the bin is found."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    return data / "Trash" / "files"


def write(qtbot: Any, field: Any, text: str) -> None:
    field.clear()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def select(qtbot: Any, table: Any, line: int, *, more: bool = False) -> None:
    key = (
        Qt.KeyboardModifier.ControlModifier if more else Qt.KeyboardModifier.NoModifier
    )
    place = table.visualItemRect(table.item(line, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, key, place)


def names(dock: RunsDock) -> list[str]:
    return [dock.table.item(n, 0).text() for n in range(dock.table.rowCount())]


@viewer
@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_a_new_name_breaks_nothing_that_starts_from_the_run(
    open_dock: Any, make_finished: Any, click: Any, qtbot: Any
) -> None:
    start = make_finished("2026-11-20_drasclr_chest", "pretrain")
    child = make_finished("2026-11-21_lungs", "finetune", start_from=str(start.path))
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2, timeout=10_000)
    select(qtbot, dock.table, names(dock).index("drasclr_chest"))
    click(dock.manage.fold)
    write(qtbot, dock.manage.name, "Best of both")
    write(qtbot, dock.manage.tags, "paper, chest,,paper")
    write(qtbot, dock.manage.note, "trained with the new scans")
    qtbot.waitUntil(lambda: "Best of both" in names(dock), timeout=10_000)
    said = About(
        name="Best of both", note="trained with the new scans", tags=("chest", "paper")
    )
    assert read_about(start.path) == said
    assert RunFolder(child.config().start_from).path == start.path
    assert dock.manage.name.text() == "Best of both"
    # Fields of another run are its own, and left as they are nothing is written.
    select(qtbot, dock.table, names(dock).index("lungs"))
    assert dock.manage.note.text() == ""
    assert dock.manage.name.text() == "lungs"
    qtbot.keyClick(dock.manage.name, Qt.Key.Key_Return)
    assert read_about(child.path) == About()
    select(qtbot, dock.table, names(dock).index("Best of both"))
    assert dock.manage.note.text() == said.note
    assert dock.manage.tags.text() == "chest, paper"
    write(qtbot, dock.filter, "paper")
    # The tag was written after the name: the list may read it at its next look.
    qtbot.waitUntil(lambda: names(dock) == ["Best of both"], timeout=10_000)
    dock.filter.clear()
    dock.order.setCurrentText("name")
    assert names(dock) == ["Best of both", "lungs"]


@viewer
def test_several_go_to_the_bin_once_it_is_said_what_breaks(
    open_dock: Any,
    make_finished: Any,
    make_run: Any,
    click: Any,
    qtbot: Any,
    bin_folder: Path,
) -> None:
    start = make_finished("2026-11-20_drasclr_chest", "pretrain")
    make_finished("2026-11-21_lungs", "finetune", start_from=str(start.path))
    other = make_run("2026-11-22_broken")
    (other.path / "config.yaml").write_text("kind: nothing\n")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 3, timeout=10_000)
    dock.order.setCurrentText("name")
    assert names(dock) == ["broken", "drasclr_chest", "lungs"]
    select(qtbot, dock.table, 0)
    select(qtbot, dock.table, 1, more=True)
    assert len(dock.table.selected()) == 2
    assert "2 of 3 runs" in dock.manage.summary.text()
    assert "Several runs" in dock.folder_button.toolTip()
    click(dock.manage.fold)
    write(qtbot, dock.manage.tags, "old")
    assert not dock.manage.name.isEnabled()
    assert read_about(start.path).tags == ("old",)
    click(dock.manage.bin_button)
    text = dock.manage.notice.text.text()
    assert "broken, drasclr_chest" in text
    assert "lungs start from what you move" in text
    assert start.path.exists()
    click(dock.manage.notice.action_button)
    qtbot.waitUntil(lambda: names(dock) == ["lungs"], timeout=10_000)
    gone = {path.name for path in bin_folder.iterdir()}
    assert gone == {"2026-11-20_drasclr_chest", "2026-11-22_broken"}


@viewer
def test_a_run_that_goes_on_stays_and_its_end_is_told(
    open_dock: Any,
    make_run: Any,
    small_launch: Any,
    click: Any,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMALL_WORKER_STEPS", "100000")
    run = make_run("2026-11-21_drasclr_chest")
    small_launch(run)
    qtbot.waitUntil(lambda: run.last_event() is not None, timeout=20_000)
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: "till" in dock.manage.summary.text(), timeout=20_000)
    assert dock.table.item(0, 4).text().startswith("till ")
    assert "stop it first" in dock.manage.bin_button.toolTip()
    dock.hide()  # behind another dock, or a minimised window
    told = []
    notification_manager.notification_ready.connect(told.append)
    run.request_stop()
    qtbot.waitUntil(lambda: bool(told), timeout=20_000)
    assert "drasclr_chest stopped after" in told[0].message


@viewer
def test_a_disk_without_a_bin_is_told(
    open_dock: Any, make_finished: Any, click: Any, qtbot: Any, monkeypatch: Any
) -> None:
    run = make_finished("2026-11-20_drasclr_chest", "pretrain")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 1, timeout=10_000)
    monkeypatch.setattr("scanlearn.gui.runs.bin.QFile.moveToTrash", lambda _: False)
    click(dock.manage.fold)
    click(dock.manage.bin_button)
    click(dock.manage.notice.action_button)
    qtbot.waitUntil(
        lambda: "does not take" in dock.manage.notice.text.text(), timeout=10_000
    )
    assert run.path.exists()


@viewer
def test_time_is_that_of_the_workers(open_dock: Any, make_run: Any, qtbot: Any) -> None:
    run = make_run("2026-11-20_drasclr_chest")
    log = EventLog(run)
    log.write(Started(time=0, steps=2))
    log.write(Epoch(time=60, step=1, values={"dice": 0.5}))
    log.write(Started(time=9_000, steps=2, step=1))
    log.write(Finished(time=9_060, step=2))
    log.close()
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 1, timeout=10_000)
    assert dock.table.item(0, 4).text() == "2 min"
    dock.order.setCurrentText("largest")
    assert dock.table.horizontalHeaderItem(4).text() == "Size"
    size = sum(f.stat().st_size for f in run.path.rglob("*") if f.is_file())
    assert dock.table.item(0, 4).text() == f"{size / 1e3:.0f} kB"


def test_a_run_is_chosen_alone_while_a_key_is_held(qtbot: Any) -> None:
    table = RunsTable()
    qtbot.addWidget(table)
    table.show_runs([row("2026-01-01_a"), row("2026-01-02_b")])
    table.choose(Path("/runs/2026-01-01_a"))
    qtbot.keyPress(table, Qt.Key.Key_Shift, Qt.KeyboardModifier.ShiftModifier)
    table.choose(Path("/runs/2026-01-02_b"))
    qtbot.keyRelease(table, Qt.Key.Key_Shift)
    chosen = table.chosen()
    assert chosen is not None
    assert chosen.name == "2026-01-02_b"
