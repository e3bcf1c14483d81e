"""Background work of docks, cancelled when it has long ended."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from scanlearn.gui.kit.background import in_background


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
