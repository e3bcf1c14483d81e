"""Thumbnails of the list's lines, read as they come into sight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.scans.scan_list import ScanList
from scanlearn.gui.scans.thumbnails import thumbnail

#: Read at once: what is in sight comes first, wherever the list is scrolled to.
_AT_ONCE = 6

Pictures = list[tuple[int, NDArray[np.uint8] | None]]


class PictureReader(QObject):
    """Reads the pictures in sight, a few at a time, off the main thread."""

    failed = Signal(object)

    def __init__(self, shown: ScanList) -> None:
        super().__init__(shown)
        self._list = shown
        self._busy = False
        shown.pictures_wanted.connect(self._read)

    def _read(self) -> None:
        scans = self._list.entries
        rows = self._list.rows_in_sight()[:_AT_ONCE]
        if self._busy or not rows:
            return
        self._busy = True

        def work(_report: Report) -> Pictures:
            return [(row, thumbnail(scans[row])) for row in rows]

        def show(pictures: Pictures) -> None:
            self._busy = False
            if self._list.entries == scans:  # not of a folder opened before
                for row, picture in pictures:
                    self._list.show_picture(row, picture)
            self._read()

        in_background(self, work, done=show, failed=self._fail)

    def _fail(self, failure: Failure) -> None:
        self._busy = False
        self.failed.emit(failure)
