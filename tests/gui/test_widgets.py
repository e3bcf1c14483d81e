from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtWidgets import QWidget

from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.widgets import button, gate, hint, page

pytestmark = pytest.mark.viewer


def test_a_long_notice_is_shown_whole(qtbot: Any) -> None:
    dock, notice = QWidget(), Notice()
    qtbot.addWidget(dock)
    layout = page(dock)
    layout.addWidget(notice)
    layout.addStretch(1)
    dock.resize(400, 900)
    dock.show()
    notice.say("Something is not as it should be. " * 12)
    words = notice.text
    qtbot.waitUntil(lambda: words.height() > 0 and words.isVisible(), timeout=5_000)
    qtbot.wait(50)
    assert words.height() >= words.heightForWidth(words.width())


def test_a_gate_says_what_is_missing(qtbot: Any) -> None:
    control, told = button("Go", lambda: None, "Goes"), hint()
    for widget in (control, told):
        qtbot.addWidget(widget)
    gate(control, "Open a scan first", told)
    assert not control.isEnabled()
    assert told.text() == control.toolTip() == "Open a scan first"
    gate(control, "", told)
    assert control.isEnabled()
    assert control.toolTip() == "Goes"
    assert told.isHidden()
