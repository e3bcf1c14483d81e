from __future__ import annotations

import numpy as np
from PIL import Image
from qtpy.QtCore import Qt

from scanlearn.gui.kit.preview_picture import PreviewPicture


def test_a_picture_is_shown_and_enlarged(qtbot, tmp_path) -> None:
    widget = PreviewPicture()
    qtbot.addWidget(widget)
    widget.show_picture(tmp_path / "none.png", "nothing")
    assert widget.isHidden()
    file = tmp_path / "one.png"
    Image.fromarray(np.full((40, 80), 128, np.uint8)).save(file)
    widget.show_picture(file, "What it is")
    assert not widget.isHidden()
    assert widget.caption.text() == "What it is"
    small = widget.picture.pixmap()
    assert small.width() == 2 * small.height()
    widget.show()
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)
    assert widget.large is not None
    assert widget.large.isVisible()
    assert widget.large.width() > 2 * small.width()
