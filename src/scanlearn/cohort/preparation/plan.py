"""What is to be done for a cohort: keys for the scans found, and which are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.exclusions import Exclusions, reason_for
from scanlearn.cohort.keys import patient_key, scan_key
from scanlearn.cohort.labels.masks_among_scans import beside_scans
from scanlearn.cohort.labels.names import stem_of as stem_of
from scanlearn.cohort.layout import Layout, Source
from scanlearn.cohort.preparation.provenance import source_hash, source_stamp
from scanlearn.cohort.preparation.spacing import Spacing
from scanlearn.cohort.record import ScanRecord
from scanlearn.config.prepare import PrepareConfig
from scanlearn.scans.scan import ScanEntry

#: Digits added to a key that another scan has already.
_LONGER = 6


@dataclass(frozen=True)
class Job:
    """One scan to prepare; it travels to another process.

    ``mr_spacing_mm`` is the (S, P, L) spacing of scans that are not CT; ``previous``
    the record of an earlier preparation; ``excluded`` why the scan is left out;
    ``lung_mask`` a file taken instead of the computed mask; ``beside_scan`` whether
    another entry has the same grid, so that this one may be its label map.
    """

    entry: ScanEntry
    key: str
    patient: str
    layout: Layout
    config: PrepareConfig
    mr_spacing_mm: Spacing | None
    stamp: str
    previous: ScanRecord | None = None
    excluded: str = ""
    lung_mask: Path | None = None
    beside_scan: bool = False

    def same_lungs(self, salt: bytes) -> bool:
        """Whether no lung mask is given, or the one that was before."""
        if self.lung_mask is None:
            return True
        digest = source_hash([self.lung_mask], salt)
        return self.previous is not None and self.previous.lungs_hash == digest


@dataclass(frozen=True)
class Plan:
    """Scans to prepare, scans that are there already, and the map to sources."""

    jobs: tuple[Job, ...]
    kept: tuple[str, ...]
    sources: dict[str, Source]


def plan(
    entries: Sequence[ScanEntry],
    cohort: Cohort,
    *,
    base: Path,
    salt: bytes,
    exclusions: Exclusions | None = None,
    lung_masks: Mapping[int, Path] | None = None,
) -> Plan:
    """Give every scan its key and tell new from unchanged ones.

    Parameters
    ----------
    entries
        Readable scans.
    cohort
        The cohort as it is.
    base
        The folder that relative paths are taken from.
    salt
        The cohort's.
    exclusions
        Scans to leave out; those left out before stay out.
    lung_masks
        Files taken instead of computed masks, by the number of the entry.
    """
    sources = cohort.sources()
    settings = cohort.settings
    before = {record.key: record for record in cohort.records(excluded=True)}
    jobs: list[Job] = []
    kept: list[str] = []
    amended: dict[str, dict[str, str]] = {}
    given: set[str] = set()
    beside = beside_scans(entries)
    for number, entry in enumerate(entries):
        patient = patient_key(patient_identity(entry), salt)
        key = _free_key(
            entry, patient, base=base, salt=salt, taken=sources, given=given
        )
        given.add(key)
        sources[key] = source_of(entry)
        stamp = source_stamp(entry.files, salt)
        previous = before.get(key)
        reason = reason_for(sources[key], exclusions or {})
        job = Job(
            entry,
            key,
            patient,
            cohort.layout,
            settings.config,
            settings.mr_spacing_mm,
            stamp,
            previous,
            reason or (previous.excluded if previous else ""),
            (lung_masks or {}).get(number),
            beside[number],
        )
        unchanged = previous is not None and previous.source_stamp == stamp
        if previous is None or not unchanged or not job.same_lungs(salt):
            jobs.append(job)
            continue
        kept.append(key)
        if reason and reason != previous.excluded:
            amended[key] = {"excluded": reason}
    cohort.amend(amended)
    return Plan(tuple(jobs), tuple(kept), sources)


def patient_identity(entry: ScanEntry) -> str:
    """Return what tells the patient from others, at worst the name of the file."""
    return entry.identity or entry.patient or stem_of(entry.path)


def source_of(entry: ScanEntry) -> Source:
    """Return where a scan came from. Private."""
    volume = "" if entry.volume is None else str(entry.volume)
    return Source(str(entry.path.absolute()), entry.series_uid, volume)


def _free_key(
    entry: ScanEntry,
    patient: str,
    *,
    base: Path,
    salt: bytes,
    taken: Mapping[str, Source],
    given: set[str],
) -> str:
    """Return a key no other source has.

    A series keeps its key wherever its folder lies, a file where its path below the
    input stays the same. Where that meets another source that still exists (a copy, or
    equal names in two folders), the whole path decides.
    """
    source = source_of(entry)
    try:
        place = entry.path.relative_to(base).as_posix()
    except ValueError:
        place = entry.path.name
    volume = "" if entry.volume is None else f"#{entry.volume}"
    whole = f"{source.path}#{source.series}{volume}"
    for number in count():
        identity = (
            f"{whole}#{number}" if number else (entry.series_uid or place) + volume
        )
        key = scan_key(patient, identity, salt, longer=_LONGER if number else 0)
        other = taken.get(key)
        if key not in given and (other is None or _gives_way(other, source)):
            break
    return key


def _gives_way(known: Source, found: Source) -> bool:
    """Whether a source is gone, or the one found, perhaps by another path to it."""
    if known == found or not Path(known.path).exists():
        return True
    same = Path(known.path).samefile(found.path)
    return same and (known.series, known.volume) == (found.series, found.volume)
