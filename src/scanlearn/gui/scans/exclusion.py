"""Leaving listed scans out, also of a cohort that is prepared already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from qtpy.QtCore import QObject, Signal

from scanlearn.cohort.layout import Source
from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.scans.listed_scan import ListedScan
from scanlearn.gui.scans.scan_list import ScanList
from scanlearn.scans.scan import Problem, ScanEntry

#: Two clicks shall not write the same files at once.
_AT_WORK = Lock()


class Excluder(QObject):
    """Leaves selected scans out and takes them in again, in the list and in a cohort.

    ``shown`` says that the list has changed, ``changed`` that the cohort on disk has.
    """

    shown = Signal()
    changed = Signal(object)
    failed = Signal(object)

    def __init__(self, scans: ScanList, parent: QObject) -> None:
        super().__init__(parent)
        self._list = scans
        self._waiting: SimpleQueue[tuple[Path, dict[Source, str]]] = SimpleQueue()

    def toggle(self, cohort: Path, typed: str) -> None:
        """Leave the selected scans out, or take them in where all are left out.

        The reason is ``typed``, else the worst that was found.
        """
        scans = self._list.scans
        rows = [n for n in self._list.chosen_rows() if not scans[n].entry.error]
        include = all(scans[n].excluded for n in rows)
        changes: dict[Source, str] = {}
        for n in rows:
            found = scans[n].problems[0].text if scans[n].problems else ""
            reason = "" if include else typed or found or "excluded by hand"
            self._list.set_excluded([n], reason)
            changes[source_of_entry(scans[n].entry)] = reason
        self.shown.emit()

        self._waiting.put((cohort, changes))
        in_background(self, self._write, done=self.changed.emit, failed=self._fail)

    def look_up(self, cohort: Path) -> None:
        """Show what a cohort leaves out, and which scans atlases do not fit.

        Of scans that it does not know, what was chosen here before napari was closed.
        """
        entries = self._list.entries
        if not entries:
            return

        def work(_report: Report) -> dict[Source, Known]:
            chosen = {source: Known(why, ()) for source, why in remembered().items()}
            return {**chosen, **known_in(cohort)}

        def show(found: dict[Source, Known]) -> None:
            if self._list.entries != entries:
                return  # another folder was opened meanwhile
            scans = []
            for entry, scan in zip(entries, self._list.scans, strict=True):
                known = found.get(source_of_entry(entry))
                scans.append(scan if known is None else known.told_of(scan))
            self._list.update_scans(scans)
            self.shown.emit()

        in_background(self, work, done=show, failed=self._fail)

    def _write(self, _report: Report) -> Path:
        """Write the changes that wait longest; returns the cohort."""
        with _AT_WORK:  # threads overtake each other: the second click must win
            cohort, changes = self._waiting.get_nowait()
            remember(changes)
            set_excluded_in(cohort, changes)
        return cohort

    def _fail(self, failure: Failure) -> None:
        self.failed.emit(failure)


def source_of_entry(entry: ScanEntry) -> Source:
    """Return where a listed scan comes from, as cohorts keep it."""
    from scanlearn.cohort.preparation.plan import source_of

    return source_of(entry)


def remembered() -> dict[Source, str]:
    """Return why scans were left out in this dock, whether prepared since or not."""
    from scanlearn.cohort.exclusions import read_exclusions

    table = _remembered_table()
    return read_exclusions(table) if table.is_file() else {}


def remember(changes: Mapping[Source, str]) -> None:
    """Keep what was left out, and forget what is used again.

    The table names source files and stays, like the salt, in the user's settings.
    """
    from scanlearn.cohort.exclusions import write_exclusions

    merged = {**remembered(), **changes}
    write_exclusions(_remembered_table(), {s: why for s, why in merged.items() if why})


def _remembered_table() -> Path:
    from scanlearn.cohort.keys import settings_folder

    return settings_folder() / "exclusions.csv"


@dataclass(frozen=True)
class Known:
    """What a cohort knows of a scan: why it is left out, how badly atlases fit it."""

    excluded: str
    registration: tuple[Problem, ...]

    def told_of(self, scan: ListedScan) -> ListedScan:
        """Return a line of the list with it."""
        others = [p for p in scan.problems if p.code != "registration"]
        # A warning comes after errors and before notes.
        errors = [p for p in others if p.severity == "error"]
        problems = (*errors, *self.registration, *others[len(errors) :])
        return replace(scan, excluded=self.excluded, problems=problems)


def known_in(cohort: Path) -> dict[Source, Known]:
    """Return what a cohort knows of its scans, by source.

    Empty where there is no cohort yet. Reads every sidecar: not on the main thread.
    """
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.cohort.quality.checks import check_cohort

    if not (cohort / "cohort.yaml").is_file():
        return {}
    opened = Cohort(cohort)
    sources = opened.sources()
    return {
        sources[key]: Known(
            opened.record(key).excluded,
            tuple(p for p in problems if p.code == "registration"),
        )
        for key, problems in check_cohort(opened).items()
        if key in sources
    }


def set_excluded_in(cohort: Path, changes: Mapping[Source, str]) -> None:
    """Leave scans of a cohort out, or with an empty reason use them again."""
    from scanlearn.cohort.catalogue import Cohort

    if not (cohort / "cohort.yaml").is_file():
        return
    opened = Cohort(cohort)
    known = {record.key for record in opened.records(excluded=True)}
    sources = opened.sources().items()
    opened.amend(
        {
            key: {"excluded": changes[source]}
            for key, source in sources
            if key in known and source in changes
        }
    )
