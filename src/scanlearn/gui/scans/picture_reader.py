"""Thumbnails of the list's lines, read as they come into sight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from scanlearn.errors import BadScan
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.scans.scan_list import ScanList
from scanlearn.gui.scans.thumbnails import thumbnail
from scanlearn.scans.scan import ScanEntry

#: Read at once: what is in sight comes first, wherever the list is scrolled to.
_AT_ONCE = 6

#: Number of a line, and its picture or what is wrong with its file.
Pictures = list[tuple[int, NDArray[np.uint8] | BadScan | None]]


class PictureReader(QObject):
    """Reads the pictures in sight, a few at a time, off the main thread."""

    failed = Signal(object)
    damage_found = Signal()

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
            return [(row, _picture(scans[row])) for row in rows]

        def show(pictures: Pictures) -> None:
            self._busy = False
            if self._list.entries == scans:  # not of a folder opened before
                self._show(pictures)
            self._read()

        in_background(self, work, done=show, failed=self._fail)

    def _show(self, pictures: Pictures) -> None:
        broken = {row: one for row, one in pictures if isinstance(one, BadScan)}
        for row, one in pictures:
            self._list.show_picture(row, None if isinstance(one, BadScan) else one)
        for row, error in broken.items():
            self._list.mark_unreadable(row, error)
        if broken:
            self.damage_found.emit()

    def _fail(self, failure: Failure) -> None:
        self._busy = False
        self.failed.emit(failure)


def _picture(entry: ScanEntry) -> NDArray[np.uint8] | BadScan | None:
    try:
        return thumbnail(entry)
    except BadScan as error:
        return error
