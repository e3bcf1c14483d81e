"""A napari window as somebody uses it: waits, presses buttons, takes pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

#: Nothing that is waited for may take longer, on a slow machine neither.
PATIENCE_S = 3600.0

#: A window draws itself completely some events after it changed.
SETTLE_S = 1.5


class Window:
    """The docks of a window, by their buttons.

    Parameters
    ----------
    viewer
        A shown napari viewer.
    bench
        The Workbench in its window.
    out
        Folder of the pictures.
    """

    def __init__(self, viewer: Any, bench: Any, out: Path) -> None:
        self.viewer, self.bench, self.out = viewer, bench, out

    def turn_to(self, title: str) -> Any:
        """Show a tab, and return its dock."""
        tabs = self.bench.tabs
        index = next(n for n in range(tabs.count()) if tabs.tabText(n) == title)
        tabs.setCurrentIndex(index)
        return tabs.widget(index)

    def go_to(self, layer: Any, index: int) -> None:
        """Show an axial slice of a layer."""
        height = layer.data_to_world((index, 0, 0))[0]
        self.viewer.dims.set_point(0, float(height))

    def click(self, control: Any, *, folder: Path | None = None) -> None:
        """Press what can be pressed; a dialog that opens is answered with a folder."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QFileDialog

        self.until(lambda: control.isVisible() and control.isEnabled(), control.text())
        with ExitStack() as stack:
            if folder is not None:
                asked = QFileDialog.getExistingDirectory
                stack.callback(setattr, QFileDialog, "getExistingDirectory", asked)
                QFileDialog.getExistingDirectory = lambda *_: str(folder)
            QTest.mouseClick(control, Qt.MouseButton.LeftButton)

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Let the window work until something has come."""
        from qtpy.QtTest import QTest

        end = time.monotonic() + PATIENCE_S
        while not reached():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not come")
            QTest.qWait(50)

    def picture(self, name: str, *, at: Any = None) -> None:
        """Save a picture of the whole window, scrolled so that a widget is in sight."""
        from napari._qt.dialogs.qt_notification import NapariQtNotification
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QScrollArea

        (scroll,) = self.bench.tabs.currentWidget().findChildren(
            QScrollArea, options=_direct()
        )
        QTest.qWait(int(SETTLE_S * 1000))
        self.viewer.reset_view()
        if at is None:
            scroll.verticalScrollBar().setValue(0)
        else:
            scroll.ensureWidgetVisible(at)
        QTest.qWait(int(SETTLE_S * 1000))
        if scroll.horizontalScrollBar().maximum():
            raise RuntimeError(f"{name}: the dock is wider than its place, and cut")
        for told in self.bench.window().findChildren(NapariQtNotification):
            told.close()
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        save(self.out / f"{name}.png", pixels)
        print(f"{name}.png", flush=True)

    def grab(self, name: str, widget: Any) -> None:
        """Save a picture of a part of a dock."""
        self.out.mkdir(parents=True, exist_ok=True)
        widget.grab().save(str(self.out / f"{name}.png"))


def _direct() -> Any:
    from qtpy.QtCore import Qt

    return Qt.FindChildOption.FindDirectChildrenOnly


def save(path: Path, pixels: Any) -> None:
    """Save a picture in 256 colours, none of them far from the screen's."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(pixels)[..., :3])
    # By the median cut alone a small square in the colour of a class got another's.
    few = picture.quantize(256, kmeans=2, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
