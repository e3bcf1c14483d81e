"""Progress in napari's activity dock, driven by the slot that receives events."""

from __future__ import annotations

from napari.utils import progress
from qtpy.QtCore import QTimer

#: Longest time that the bar stays behind. Each move lets napari repaint everything.
MOVE_MILLISECONDS = 1000


class ActivityBar:
    """One bar in the activity dock; work that ends within a second shows none.

    napari's ``_progress`` of a worker counts yields, so heartbeats would advance it.
    napari also handles all waiting events whenever a bar moves: a timer moves it, so
    that this never happens in the middle of a slot.
    """

    def __init__(self, title: str, *, hidden: bool = False) -> None:
        self._title = title
        self._bar: progress | None = None
        self._closed = hidden
        self._wanted = (0, 0)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(MOVE_MILLISECONDS)
        self._timer.timeout.connect(self._move)

    def update(self, done: int, total: int) -> None:
        """Move the bar to ``done`` of ``total``, a little later."""
        if self._closed or total <= 0:
            return
        self._wanted = (done, total)
        if not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Take the bar away."""
        self._closed = True
        self._timer.stop()
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _move(self) -> None:
        done, total = self._wanted
        if self._bar is None:
            self._bar = progress(total=total, desc=self._title)
        bar = self._bar
        if bar.total != total:
            bar.reset(total=total)
        bar.update(min(done, total) - bar.n)
