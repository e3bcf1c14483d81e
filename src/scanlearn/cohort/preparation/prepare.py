"""From a folder of scans to a cohort: in parallel, restartable, one bad scan apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.exclusions import Exclusions
from scanlearn.cohort.keys import cohort_salt
from scanlearn.cohort.labels.masks_among_scans import is_told_label_map, owner_of
from scanlearn.cohort.layout import (
    Layout,
    Settings,
    read_settings,
    write_settings,
    write_sources,
)
from scanlearn.cohort.preparation.faults import cannot_be_written, reason_of
from scanlearn.cohort.preparation.folder import check_folder, held_folder, settings_for
from scanlearn.cohort.preparation.identity import (
    identity_remarks,
    is_pattern,
    with_identities,
)
from scanlearn.cohort.preparation.lung_masks import match_masks
from scanlearn.cohort.preparation.outcome import Outcome
from scanlearn.cohort.preparation.plan import Job, Plan, plan
from scanlearn.cohort.preparation.pool import run_all
from scanlearn.cohort.preparation.prepare_one import NoScan, prepare_one
from scanlearn.cohort.record import ScanRecord
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.formats import is_table
from scanlearn.scans.scan import ScanEntry

#: Listing files is fast: progress is told once for this many.
_FILES_A_STEP = 50

#: Called with scans done, scans in all and what happened last.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Failure:
    """A scan that could not be prepared. ``source`` is private: show, do not store."""

    source: Path
    error: str


@dataclass(frozen=True)
class PrepareReport:
    """What became of every scan that was found.

    Parameters
    ----------
    cohort
        The folder.
    prepared, kept
        Keys of scans made now, and of those unchanged since before.
    failed
        Scans that could not be prepared.
    label_maps
        Masks that lay among the scans and were passed over, and the name of the scan
        that each belongs to, empty where that is not clear.
    warnings
        What the checks found, by key.
    remarks
        What is told of the cohort as a whole.
    excluded
        Why scans of the cohort are left out, by key.
    seconds
        Time it took.
    """

    cohort: Path
    prepared: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[Failure, ...]
    label_maps: dict[Path, str] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    excluded: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def prepare(
    inputs: Path,
    cohort: Path,
    config: PrepareConfig | None = None,
    *,
    exclusions: Exclusions | None = None,
    lung_masks: Path | None = None,
    progress: Progress | None = None,
    scheduler: str | None = None,
) -> PrepareReport:
    """Make a cohort of scans, or extend one.

    Complete scans whose sources have not changed are kept as they are, so that a
    preparation that was stopped in whatever way goes on where it was.

    Parameters
    ----------
    inputs
        A folder, a file, or a table (CSV) with a ``path`` column.
    cohort
        Folder of the cohort.
    config
        Settings; those left at their defaults are an existing cohort's own.
    exclusions
        Scans to leave out and why. They are prepared like the others, so that they
        can be included again, but no training sees them. One that cannot be prepared
        is passed over.
    lung_masks
        Folder of masks taken instead of the computed ones; see
        :func:`scanlearn.cohort.preparation.lung_masks.match_masks`.
    progress
        Called after every scan.
    scheduler
        Address of a Dask scheduler that prepares the scans.

    Raises
    ------
    BadScan
        If there is nothing to prepare, or nothing that can be.
    BadCohort
        If the settings differ from those the cohort was made with, the folder holds
        something else, or another preparation is at work in it.
    """
    started = time.monotonic()
    inputs, layout = Path(inputs), Layout(Path(cohort))
    tell = progress or _silent
    is_new = check_folder(layout)
    tally = _Tally()
    config = config or PrepareConfig()
    told_by = config.patient_from
    if not told_by and not is_new:
        told_by = read_settings(layout).config.patient_from
    found = _found(inputs, tell, told_by)
    entries = [entry for entry in found if not tally.sorts_out(entry)]
    if not entries:
        raise _nothing(inputs, tally)
    if told_by and (is_pattern(told_by) or not is_table(inputs)):
        entries = with_identities(entries, told_by)
    masks = None if lung_masks is None else match_masks(lung_masks, entries)
    settings = settings_for(layout, config, entries, is_new=is_new)
    with held_folder(layout, settings, is_new=is_new):
        base = inputs if inputs.is_dir() else inputs.parent
        salt = cohort_salt(layout.private)
        todo = plan(
            entries,
            Cohort(layout.root),
            base=base,
            salt=salt,
            exclusions=exclusions,
            lung_masks=masks,
        )
        # Before any scan is complete, so that every complete one has its source.
        write_sources(layout, todo.sources)
        try:
            _run(todo, settings, scheduler, tell, tally)
        finally:
            excluded = _conclude(layout, settings)
        if not tally.prepared and not todo.kept:
            raise _nothing(inputs, tally)
    return PrepareReport(
        cohort=layout.root,
        prepared=tuple(tally.prepared),
        kept=todo.kept,
        failed=tuple(tally.failed),
        label_maps=tally.owners(entries),
        warnings=tally.warnings,
        remarks=tuple(_remarks(layout, entries)),
        excluded=excluded,
        seconds=time.monotonic() - started,
    )


class _Tally:
    """What became of the scans so far."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.warnings: dict[str, tuple[str, ...]] = {}
        self.failed: list[Failure] = []
        self.label_maps: list[ScanEntry] = []

    def sorts_out(self, entry: ScanEntry) -> bool:
        """Whether an entry need not be read: it cannot be, or is named like a mask."""
        if is_told_label_map(entry):
            self.label_maps.append(entry)
        elif entry.error:
            self.failed.append(Failure(entry.path, entry.error))
        else:
            return False
        return True

    def owners(self, entries: Sequence[ScanEntry]) -> dict[Path, str]:
        """Return the label maps and the names of the scans that they belong to."""
        masks = {mask.path for mask in self.label_maps}
        scans = [entry for entry in entries if entry.path not in masks]
        return {mask.path: owner_of(mask, scans) for mask in self.label_maps}

    def count(self, outcome: Outcome[Job, ScanRecord]) -> str:
        """Note what became of a scan and say it."""
        key, entry = outcome.item.key, outcome.item.entry
        path = entry.path
        if outcome.result is not None:
            texts = [p.text for p in outcome.result.checks if p.severity != "note"]
            self.prepared.append(key)
            if texts:
                self.warnings[key] = tuple(texts)
            return f"{key} prepared"
        if isinstance(outcome.error, NoScan):
            self.label_maps.append(entry)
            return f"{path.name} is a label map: passed over"
        if outcome.item.excluded:
            return f"{path.name} is excluded"
        text = reason_of(outcome.error)
        self.failed.append(Failure(path, text))
        return f"{path.name} failed: {text}"


def _run(
    todo: Plan, settings: Settings, scheduler: str | None, tell: Progress, tally: _Tally
) -> None:
    done = len(todo.kept)
    total = done + len(todo.jobs)
    tell(done, total, f"{done} of {total} scans are unchanged" if done else "")
    if not todo.jobs:
        return
    workers = settings.config.workers
    outcomes = run_all(prepare_one, todo.jobs, workers=workers, scheduler=scheduler)
    # Closed at once when progress is interrupted: no process writes on afterwards.
    with closing(outcomes):
        for outcome in outcomes:
            if cannot_be_written(outcome.error, outcome.item.layout):
                raise outcome.error  # nor can the scans after it
            done += 1
            tell(done, total, tally.count(outcome))


def _conclude(layout: Layout, settings: Settings) -> dict[str, str]:
    """Write what is told by all scans together; returns those left out."""
    cohort = Cohort(layout.root)
    records = cohort.records(excluded=True)
    if not any(record.intensity.units == "zscore" for record in records):
        # Headers of NIfTI files do not tell MR from CT: the median was not needed.
        write_settings(layout, replace(settings, mr_spacing_mm=None))
    complete = {record.key for record in records}
    write_sources(layout, {k: s for k, s in cohort.sources().items() if k in complete})
    cohort.write_table()
    return {record.key: record.excluded for record in records if record.excluded}


def _remarks(layout: Layout, entries: list[ScanEntry]) -> list[str]:
    records = Cohort(layout.root).records()
    patients = {record.patient for record in records}
    return identity_remarks(entries, len(patients), len(records))


def _found(inputs: Path, tell: Progress, told_by: str) -> list[ScanEntry]:
    if not inputs.exists():
        raise BadScan(f"{inputs} does not exist", next_step="Check the path.")
    if is_table(inputs):
        from scanlearn.cohort.preparation.scan_tables import entries_of_table

        column = "" if is_pattern(told_by) else told_by
        return entries_of_table(inputs, patient_from=column)

    def looking(done: int, total: int) -> None:
        if done % _FILES_A_STEP == 0 or done == total:
            tell(done, total, "looking at files")

    return find_scans(inputs, progress=looking)


def _nothing(inputs: Path, tally: _Tally) -> BadScan:
    told = [
        f"{f.source.name}: {f.error.removeprefix(f'{f.source}: ')}"
        for f in tally.failed
    ]
    told += [f"{mask.path.name} looks like a label map" for mask in tally.label_maps]
    more = f" and {len(told) - 3} more" if len(told) > 3 else ""
    why = f" ({'; '.join(told[:3])}{more})" if told else ""
    return BadScan(
        f"no scan in {inputs} could be prepared{why}",
        expected="at least one readable CT, MR or radiograph",
        next_step="Run 'scanlearn check' on the folder to see what is wrong.",
    )


def _silent(_done: int, _total: int, _message: str) -> None:
    return
