"""Quality checks of scans, before a cohort is made and in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scanlearn.cohort.atlas.atlas_cache import kept_qualities
from scanlearn.cohort.atlas.atlas_quality import AtlasQuality
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.keys import installation_salt, patient_key
from scanlearn.cohort.labels.masks_among_scans import (
    beside_scans,
    is_label_map,
    is_told_label_map,
    label_map_problem,
    owner_of,
)
from scanlearn.cohort.preparation.plan import patient_identity
from scanlearn.cohort.preparation.pool import run_all
from scanlearn.cohort.quality.check_facts import (
    facts_of_entry,
    facts_of_record,
    facts_of_scan,
)
from scanlearn.cohort.quality.check_rules import (
    ScanFacts,
    cross_problems,
    own_problems,
    size_problems,
)
from scanlearn.errors import ScanlearnError
from scanlearn.scans.find import find_scans
from scanlearn.scans.geometry import to_canonical_axes
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
    series, volume
        Which series of a folder, which volume of a 4D file.
    patient
        Pseudonymous key.
    modality, shape, spacing_mm
        As in the source, array order.
    problems
        Worst first.
    fits
        How well the default atlas lies in the lungs; empty where that was not tried.
    """

    source: Path
    series: str
    volume: int | None
    patient: str
    modality: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    problems: tuple[Problem, ...]
    fits: tuple[AtlasQuality, ...] = ()

    @property
    def severity(self) -> Severity | None:
        """The worst of the problems; None where there is none."""
        return self.problems[0].severity if self.problems else None


@dataclass(frozen=True)
class _Seen:
    """What a look at a scan told: small, so that thousands fit in memory."""

    facts: ScanFacts | None
    problems: tuple[Problem, ...]
    fit: AtlasQuality | None = None
    is_label_map: bool = False


@dataclass(frozen=True)
class _Look:
    """One scan to look at; it travels to another process."""

    number: int
    entry: ScanEntry
    patient: str
    beside_scan: bool


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
        As in :func:`scanlearn.cohort.preparation.prepare.prepare`.

    Raises
    ------
    BadScan
        If the folder holds no scan at all.
    """
    entries = find_scans(scans) if isinstance(scans, Path) else list(scans)
    looks = _looks(entries)
    seen: dict[int, _Seen] = {}
    for outcome in run_all(_read_and_look, looks, workers=workers, scheduler=scheduler):
        look = outcome.item
        seen[look.number] = outcome.result or _unreadable(
            look.entry, str(outcome.error)
        )
        if progress is not None:
            progress(len(seen), len(looks), look.entry.path.name)
    return _rows(looks, [seen[look.number] for look in looks])


def check_headers(entries: Sequence[ScanEntry]) -> list[CheckRow]:
    """Say what the headers alone tell; at once, for a list that is shown.

    Empty images, values that are no Hounsfield units, duplicates, scans without lungs
    and damaged pixels take :func:`check`, which reads the voxels.
    """
    looks = _looks(entries)
    return _rows(looks, [_look_at_header(look) for look in looks])


def check_cohort(cohort: Cohort) -> dict[str, tuple[Problem, ...]]:
    """Return all problems of every scan of a cohort, by key; nothing is read again."""
    records = cohort.records(excluded=True)
    used = [record for record in records if not record.excluded]
    found = {record.key: record.checks for record in records}
    facts = [facts_of_record(record) for record in used]
    fits = kept_qualities(cohort.layout, used)
    for record, problems in zip(used, cross_problems(facts), strict=True):
        # Of the default atlas preparing may have told; others were tried since.
        told = any(problem.code == "registration" for problem in record.checks)
        placed = [
            fit.remark()
            for fit in fits[record.key]
            if not (told and fit.atlas == "default")
        ]
        new = [remark for remark in placed if remark is not None]
        found[record.key] = _sorted((*record.checks, *problems, *new))
    return found


def to_json(rows: Sequence[CheckRow]) -> list[dict[str, Any]]:
    """Return rows as plain values for ``--json``."""
    return [
        asdict(row) | {"source": str(row.source), "severity": row.severity or "ok"}
        for row in rows
    ]


def from_json(document: Sequence[dict[str, Any]]) -> list[CheckRow]:
    """Return the rows that :func:`to_json` made plain."""
    return [
        CheckRow(
            source=Path(row["source"]),
            series=row["series"],
            volume=row["volume"],
            patient=row["patient"],
            modality=row["modality"],
            shape=tuple(row["shape"]),
            spacing_mm=tuple(row["spacing_mm"]),
            problems=tuple(Problem(**problem) for problem in row["problems"]),
            fits=tuple(AtlasQuality.from_dict(fit) for fit in row["fits"]),
        )
        for row in document
    ]


def _looks(entries: Sequence[ScanEntry]) -> list[_Look]:
    salt = installation_salt()
    return [
        _Look(n, entry, patient_key(patient_identity(entry), salt), beside)
        for n, (entry, beside) in enumerate(
            zip(entries, beside_scans(entries), strict=True)
        )
    ]


def _rows(looks: Sequence[_Look], seen: Sequence[_Seen]) -> list[CheckRow]:
    known = [n for n, one in enumerate(seen) if one.facts is not None]
    facts = [one.facts for one in seen if one.facts is not None]
    across = dict(zip(known, cross_problems(facts), strict=True))
    scans = [look.entry for look in looks if not seen[look.number].is_label_map]
    for look in looks:
        if seen[look.number].is_label_map:
            across[look.number] = [label_map_problem(owner_of(look.entry, scans))]
    return [
        CheckRow(
            source=look.entry.path,
            series=look.entry.series_uid,
            volume=look.entry.volume,
            patient=look.patient,
            modality=look.entry.acquisition.modality,
            shape=look.entry.shape,
            spacing_mm=look.entry.spacing_mm,
            problems=_sorted(
                (*one.problems, *across.get(n, ()), *_misfit(one.fit)),
            ),
            fits=(one.fit,) if one.fit else (),
        )
        for n, (look, one) in enumerate(zip(looks, seen, strict=True))
    ]


def _misfit(fit: AtlasQuality | None) -> tuple[Problem, ...]:
    remark = fit and fit.remark()
    return (remark,) if remark else ()


def _look_at_header(look: _Look) -> _Seen:
    entry = look.entry
    if is_told_label_map(entry):
        return _Seen(None, (), is_label_map=True)
    if entry.error:
        return _unreadable(entry, entry.error)
    facts = facts_of_entry(entry, look.patient)
    sizes = size_problems(facts) if facts else ()
    return _Seen(facts, (*entry.problems, *sizes))


def _read_and_look(look: _Look) -> _Seen:
    entry = look.entry
    if entry.error or is_told_label_map(entry):
        return _look_at_header(look)
    try:
        # Uneven slices are named among the problems; they do not stop the look.
        scan = read_scan(entry, on_uneven="resample")
    except ScanlearnError as error:
        return _unreadable(entry, str(error))
    if is_label_map(scan, entry.kind, beside_scan=look.beside_scan):
        return _Seen(None, (), is_label_map=True)
    voxels, grid = to_canonical_axes(scan.voxels, scan.grid)
    turned = scan if scan.is_radiograph else replace(scan, voxels=voxels, grid=grid)
    facts, of_lungs, fit = facts_of_scan(turned, look.patient)
    # As found: nothing was resampled but for this look.
    found = {problem.code: problem for problem in entry.problems}
    told = tuple(found.get(problem.code, problem) for problem in scan.problems)
    return _Seen(facts, (*told, *own_problems(turned), *of_lungs), fit)


def _unreadable(entry: ScanEntry, reason: str) -> _Seen:
    text = reason.removeprefix(f"{entry.path}: ")
    action = "Leave it out, or copy it again from where it came."
    return _Seen(None, (Problem("unreadable", "error", text, action),))


def _sorted(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda p: -_ORDER[p.severity]))
