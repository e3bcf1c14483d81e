"""Looking for scans in the background, and writing sample scans; one at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.settings import sample_folder
from scanlearn.gui.scans.listed_scan import ListedScan


class ScanSearch(QObject):
    """Finds the scans of a folder, with what their headers tell.

    ``found`` gives the scans as a list of :class:`ListedScan`, ``written`` the folder
    of sample scans; ``ended`` comes before either, and before ``failed``.
    """

    progressed = Signal(str, int, int)
    found = Signal(list)
    written = Signal(object)
    failed = Signal(object)
    ended = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._cancel: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a search or the sample is going on."""
        return self._cancel is not None

    def find(self, path: Path) -> None:
        """List the scans of a folder or file."""

        def work(report: Report) -> list[ListedScan]:
            from scanlearn.cohort.quality.checks import check_headers
            from scanlearn.scans.find import find_scans

            entries = find_scans(path, progress=report)
            found = zip(entries, check_headers(entries), strict=True)
            return [ListedScan(one, row.patient, row.problems) for one, row in found]

        self._begin(f"Looking for scans in {path.name}…", work, self.found.emit)

    def write_sample(self) -> None:
        """Write the sample scans, once, and say where they are."""
        folder = sample_folder()
        if any(folder.glob("*")):
            self.written.emit(folder / "scans")
            return

        def work(report: Report) -> Path:
            from scanlearn.phantom.sample import write_sample

            return write_sample(folder, progress=report) / "scans"

        self._begin("Making artificial chest CTs", work, self.written.emit)

    def cancel(self) -> None:
        """End what is going on; nothing is said of it."""
        if self._cancel is not None:
            self._cancel()
        self._cancel = None

    def _begin(
        self, title: str, work: Callable[[Report], Any], done: Callable[[Any], None]
    ) -> None:
        def finish(result: Any) -> None:
            self._end()
            done(result)

        self._cancel = in_background(
            self,
            work,
            done=finish,
            failed=self._fail,
            progressed=lambda n, total: self.progressed.emit(title, n, total),
        )
        self.progressed.emit(title, 0, 0)

    def _fail(self, failure: Failure) -> None:
        self._end()
        self.failed.emit(failure)

    def _end(self) -> None:
        self._cancel = None
        self.ended.emit()
