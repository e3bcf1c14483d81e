"""Background work of docks, cancelled when it has long ended."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from qtpy.QtWidgets import QWidget

from scanlearn.gui.kit.background import follow_in_background, in_background
from scanlearn.gui.kit.durations import TimeLeft


def test_work_that_has_ended_may_be_cancelled(qtbot) -> None:
    owner = QWidget()
    qtbot.addWidget(owner)
    found: list[int] = []
    cancel = in_background(owner, lambda _report: 7, done=found.append, failed=print)
    qtbot.waitUntil(lambda: found == [7], timeout=10_000)
    qtbot.wait(50)  # Qt deletes what carried the result
    cancel()
    assert found == [7]


def test_cancelled_work_delivers_nothing(qtbot) -> None:
    owner = QWidget()
    qtbot.addWidget(owner)
    found: list[object] = []
    in_background(owner, lambda _report: 7, done=found.append, failed=found.append)()
    qtbot.wait(300)
    assert found == []


@pytest.mark.viewer
def test_napari_asks_once_about_what_two_watch(make_napari_viewer, qtbot) -> None:
    tasks = make_napari_viewer().window._task_status_manager
    going = True

    def beats() -> Iterator[None]:
        while going:
            time.sleep(0.02)
            yield None

    owners = [QWidget(), QWidget()]
    for owner in owners:
        qtbot.addWidget(owner)
        follow_in_background(owner, "the watch", beats, received=print, failed=print)
    told = [line for line in tasks.get_status() if "the watch" in line]
    assert len(told) == 1
    going = False
    qtbot.waitUntil(lambda: not tasks.is_busy(), timeout=10_000)


def test_what_is_left_is_told_from_the_pace() -> None:
    now = 100.0
    left = TimeLeft(lambda: now)
    assert left.text(0, 3328) == ""
    now = 102.0
    assert left.text(400, 3328) == ""  # too early
    now = 110.0
    assert left.text(1664, 3328) == "about 10 s left"
    assert left.text(3328, 3328) == ""
    assert left.text(3, 12) == ""  # another part
