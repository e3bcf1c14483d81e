"""Quality checks of scans, before a cohort is made and in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.check_rules import ScanFacts, cross_problems, own_problems
from scanlearn.cohort.keys import installation_salt, patient_key
from scanlearn.cohort.plan import patient_identity
from scanlearn.cohort.pool import run_all
from scanlearn.cohort.provenance import voxel_hash
from scanlearn.cohort.record import ScanRecord
from scanlearn.errors import ScanlearnError
from scanlearn.scans.find import find_scans
from scanlearn.scans.geometry import canonical_grid, to_canonical_axes
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Problem, ScanEntry, Severity

_ORDER: dict[Severity, int] = {"note": 0, "warning": 1, "error": 2}


@dataclass(frozen=True)
class CheckRow:
    """What was found about one scan. ``source`` is for the user's own eyes.

    Parameters
    ----------
    source
        File or folder.
    series
        Series of a folder that holds several.
    patient
        Pseudonymous key.
    modality, shape, spacing_mm
        As in the source, array order.
    problems
        Worst first.
    """

    source: Path
    series: str
    patient: str
    modality: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    problems: tuple[Problem, ...]

    @property
    def severity(self) -> Severity | None:
        """The worst of the problems; None where there is none."""
        return self.problems[0].severity if self.problems else None


@dataclass(frozen=True)
class _Seen:
    """What reading a scan told: small, so that thousands fit in memory."""

    facts: ScanFacts | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Look:
    """One scan to look at; it travels to another process."""

    number: int
    entry: ScanEntry
    patient: str


def check(
    scans: Path | Sequence[ScanEntry],
    *,
    progress: Callable[[int, int, str], None] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> list[CheckRow]:
    """Read every scan once and say what is wrong with it or odd beside the others.

    Parameters
    ----------
    scans
        A folder, or entries found before.
    progress
        Called with scans done, in all, and the name of the last.
    workers, scheduler
        As in :func:`scanlearn.cohort.prepare.prepare`.

    Raises
    ------
    BadScan
        If the folder holds no scan at all.
    """
    entries = find_scans(scans) if isinstance(scans, Path) else list(scans)
    salt = installation_salt()
    looks = [
        _Look(n, entry, patient_key(patient_identity(entry), salt))
        for n, entry in enumerate(entries)
    ]
    seen: dict[int, _Seen] = {}
    for outcome in run_all(_look_at, looks, workers=workers, scheduler=scheduler):
        look = outcome.item
        seen[look.number] = outcome.result or _unreadable(str(outcome.error))
        if progress is not None:
            progress(len(seen), len(looks), look.entry.path.name)
    known = [n for n in range(len(looks)) if seen[n].facts is not None]
    facts = [f for n in known if (f := seen[n].facts) is not None]
    across = dict(zip(known, cross_problems(facts), strict=True))
    return [
        CheckRow(
            source=look.entry.path,
            series=look.entry.series_uid,
            patient=look.patient,
            modality=look.entry.acquisition.modality,
            shape=look.entry.shape,
            spacing_mm=look.entry.spacing_mm,
            problems=_sorted((*seen[n].problems, *across.get(n, ()))),
        )
        for n, look in enumerate(looks)
    ]


def check_cohort(cohort: Cohort) -> dict[str, tuple[Problem, ...]]:
    """Return all problems of every scan of a cohort, by key; nothing is read again."""
    records = cohort.records(excluded=True)
    used = [record for record in records if not record.excluded]
    found = {record.key: record.checks for record in records}
    facts = [_facts_of(record) for record in used]
    for record, problems in zip(used, cross_problems(facts), strict=True):
        found[record.key] = _sorted((*record.checks, *problems))
    return found


def to_json(rows: Sequence[CheckRow]) -> list[dict[str, Any]]:
    """Return rows as plain values for ``--json``."""
    return [
        asdict(row) | {"source": str(row.source), "severity": row.severity or "ok"}
        for row in rows
    ]


def _look_at(look: _Look) -> _Seen:
    if look.entry.error:
        return _unreadable(look.entry.error)
    try:
        # Uneven slices are named among the problems; they do not stop the look.
        scan = read_scan(look.entry, on_uneven="resample")
    except ScanlearnError as error:
        return _unreadable(str(error))
    voxels, grid = to_canonical_axes(scan.voxels, scan.grid)
    turned = scan if scan.is_radiograph else replace(scan, voxels=voxels, grid=grid)
    facts = ScanFacts(
        patient=look.patient,
        modality=scan.acquisition.modality,
        shape=turned.grid.shape,
        spacing_mm=turned.grid.spacing_mm,
        kernel=scan.acquisition.kernel,
        body_part=scan.acquisition.body_part,
        contrast=bool(scan.acquisition.contrast),
        slice_thickness_mm=scan.acquisition.slice_thickness_mm,
        # Never kept, so it needs no salt; none travels to a cluster.
        voxel_hash=voxel_hash(scan.voxels, b""),
    )
    return _Seen(facts, (*scan.problems, *own_problems(turned)))


def _facts_of(record: ScanRecord) -> ScanFacts:
    source = record.source_grid
    grid = source if record.is_radiograph else canonical_grid(source)
    return ScanFacts(
        patient=record.patient,
        modality=record.modality,
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        kernel=record.kernel,
        body_part=record.body_part,
        contrast=record.contrast,
        slice_thickness_mm=record.slice_thickness_mm,
        voxel_hash=record.voxel_hash,
    )


def _unreadable(reason: str) -> _Seen:
    return _Seen(None, (Problem("unreadable", "error", reason, "Leave it out."),))


def _sorted(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda p: -_ORDER[p.severity]))
