"""Thumbnails of the list's lines, read as they come into sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from scanlearn.cohort.labels.masks_among_scans import (
    beside_scans,
    is_label_map,
    label_map_problem,
    owner_of,
)
from scanlearn.errors import BadScan
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.scans.listed_scan import ListedScan
from scanlearn.gui.scans.scan_list import ScanList
from scanlearn.gui.scans.thumbnails import label_thumbnail, may_hold_labels, thumbnail
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Problem

#: Read at once: what is in sight comes first, wherever the list is scrolled to.
_AT_ONCE = 6


@dataclass(frozen=True, eq=False)
class Look:
    """What the voxels of a line show: its picture, that they break off, or labels."""

    row: int
    picture: NDArray[np.uint8] | None = None
    broken: BadScan | None = None
    label_map: Problem | None = None


class PictureReader(QObject):
    """Reads the pictures in sight, a few at a time, off the main thread.

    ``found`` says that more is known of some scans than their headers tell.
    """

    failed = Signal(object)
    found = Signal()

    def __init__(self, shown: ScanList) -> None:
        super().__init__(shown)
        self._list = shown
        self._busy = False
        shown.pictures_wanted.connect(self._read)

    def _read(self) -> None:
        entries, scans = self._list.entries, self._list.scans
        rows = self._list.rows_in_sight()[:_AT_ONCE]
        if self._busy or not rows:
            return
        self._busy = True

        def work(_report: Report) -> list[Look]:
            return [_look(row, scans) for row in rows]

        def show(looks: list[Look]) -> None:
            self._busy = False
            if self._list.entries == entries:  # not of a folder opened before
                self._show(looks)
            self._read()

        in_background(self, work, done=show, failed=self._fail)

    def _show(self, looks: list[Look]) -> None:
        for look in looks:
            self._list.show_picture(look.row, look.picture)
            if look.broken is not None:
                self._list.mark_unreadable(look.row, look.broken)
            if look.label_map is not None:
                self._list.mark_label_map(look.row, look.label_map)
        if any(look.broken or look.label_map for look in looks):
            self.found.emit()

    def _fail(self, failure: Failure) -> None:
        self._busy = False
        self.failed.emit(failure)


def _look(row: int, scans: Sequence[ListedScan]) -> Look:
    scan = scans[row]
    try:
        if scan.is_label_map:
            return Look(row, label_thumbnail(scan.entry))
        picture = thumbnail(scan.entry)
        if picture is not None and _holds_labels(row, scans):
            others = [one.entry for one in scans if one.is_scan]
            problem = label_map_problem(owner_of(scan.entry, others))
            return Look(row, label_thumbnail(scan.entry), label_map=problem)
    except BadScan as error:
        return Look(row, broken=error)
    return Look(row, picture)


def _holds_labels(row: int, scans: Sequence[ListedScan]) -> bool:
    """Whether a file that says nothing holds classes, as preparing will find."""
    entries = [scan.entry for scan in scans]
    entry, beside = entries[row], beside_scans(entries)[row]
    if not may_hold_labels(entry, beside_scan=beside):
        return False
    return is_label_map(read_scan(entry), entry.kind, beside_scan=beside)
