"""Progress in napari's activity dock, driven by the slot that receives events."""

from __future__ import annotations

from napari.utils import progress


class ActivityBar:
    """One bar in the activity dock; made when the total is known.

    napari's ``_progress`` of a worker counts yields, so heartbeats would advance it.
    """

    def __init__(self, title: str, *, hidden: bool = False) -> None:
        self._title = title
        self._bar: progress | None = None
        self._closed = hidden

    def update(self, done: int, total: int) -> None:
        """Move the bar to ``done`` of ``total``."""
        if self._closed or total <= 0:
            return
        if self._bar is None:
            self._bar = progress(total=total, desc=self._title)
        if self._bar.total != total:
            self._bar.reset(total=total)
        self._bar.update(min(done, total) - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        self._closed = True
        if self._bar is not None:
            self._bar.close()
            self._bar = None
