"""The lung masks of a prepared cohort, one picture a scan, to be looked through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.cohort.layout import Source
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.preview_picture import PreviewPicture
from scanlearn.gui.kit.widgets import button, fold, hint, row
from scanlearn.gui.scans.exclusion import source_of_entry
from scanlearn.gui.viewer.layers import short_key
from scanlearn.scans.scan import ScanEntry

_ABOUT = (
    "Right lung blue, left lung orange. Where one is wrong, exclude the scan, or give "
    "its mask under Advanced and prepare again."
)


@dataclass(frozen=True)
class LungPicture:
    """The picture of one prepared scan, and what is said of it."""

    file: Path
    caption: str


class LungPictures(QWidget):
    """Shows the lung mask of the selected scan; hidden where nothing is prepared.

    ``wanted`` gives the line of the scan that the user turned to.
    """

    wanted = Signal(int)
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture = PreviewPicture()
        self.nothing = hint("This scan is not in the cohort.")
        self.before = button("◂ Previous", lambda: self._turn(-1))
        self.after = button("Next ▸", lambda: self._turn(1))
        body = QWidget()
        inner = QVBoxLayout(body)
        inner.setContentsMargins(0, 0, 0, 4)
        inner.setSpacing(4)
        inner.addWidget(hint(_ABOUT))
        inner.addWidget(self.picture)
        inner.addWidget(self.nothing)
        inner.addWidget(row(self.before, self.after))
        self.head = fold("Lung masks", body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.head)
        layout.addWidget(body)
        self._pictures: dict[int, LungPicture] = {}
        self._line = -1
        self._asked: tuple[Path, tuple[ScanEntry, ...]] | None = None
        self.setVisible(False)

    def look_up(self, cohort: Path, entries: Sequence[ScanEntry]) -> None:
        """Find the pictures that a cohort has of the listed scans."""
        asked = (cohort, tuple(entries))
        self._asked = asked

        def work(_report: Report) -> dict[int, LungPicture]:
            found = pictures_of(cohort)
            sources = [source_of_entry(entry) for entry in asked[1]]
            return {n: found[s] for n, s in enumerate(sources) if s in found}

        def show(found: dict[int, LungPicture]) -> None:
            if self._asked is not asked:
                return  # another folder was opened, or another cohort named
            self._pictures = found
            self.setVisible(bool(found))
            self.show_lines([self._line])

        in_background(self, work, done=show, failed=self._fail)

    def show_lines(self, lines: Sequence[int]) -> None:
        """Show the picture of the first of the selected scans."""
        self._line = lines[0] if lines else -1
        found = self._pictures.get(self._line)
        if found is not None:
            self.picture.show_picture(found.file, found.caption)
        self.picture.setVisible(found is not None)
        self.nothing.setVisible(found is None)
        self.before.setEnabled(self._next(-1) is not None)
        self.after.setEnabled(self._next(1) is not None)

    def _next(self, step: int) -> int | None:
        beyond = [n for n in self._pictures if (n - self._line) * step > 0]
        return min(beyond, key=lambda n: abs(n - self._line)) if beyond else None

    def _turn(self, step: int) -> None:
        line = self._next(step)
        if line is not None:
            self.wanted.emit(line)

    def _fail(self, failure: Failure) -> None:
        self.failed.emit(failure)


def pictures_of(cohort: Path) -> Mapping[Source, LungPicture]:
    """Return the pictures of a cohort's CTs; empty where there is none.

    Reads every sidecar: not on the main thread.
    """
    from scanlearn.cohort.catalogue import Cohort

    if not (cohort / "cohort.yaml").is_file():
        return {}
    opened = Cohort(cohort)
    sources = opened.sources()
    found = {}
    for record in opened.records(excluded=True):
        file = opened.layout.preview(record.key)
        if record.right_lung_ml is None or record.left_lung_ml is None:
            continue
        if record.key in sources and file.is_file():
            origin = "given" if record.lungs_hash else "computed"
            caption = (
                f"{short_key(record.patient)} · right {record.right_lung_ml:.0f} ml, "
                f"left {record.left_lung_ml:.0f} ml, {origin}"
            )
            found[sources[record.key]] = LungPicture(file, caption)
    return found
