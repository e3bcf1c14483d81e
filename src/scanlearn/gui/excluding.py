"""Leaving scans out of a cohort that is prepared already, by where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scanlearn.cohort.layout import Source
from scanlearn.scans.scan import ScanEntry


def source_of_entry(entry: ScanEntry) -> Source:
    """Return where a listed scan comes from, as cohorts keep it."""
    from scanlearn.cohort.plan import source_of

    return source_of(entry)


def excluded_in(cohort: Path) -> dict[Source, str]:
    """Return why each scan of a cohort is left out, "" where it is used.

    Empty where there is no cohort yet. Reads every sidecar: not on the main thread.
    """
    from scanlearn.cohort.catalogue import Cohort

    if not (cohort / "cohort.yaml").is_file():
        return {}
    opened = Cohort(cohort)
    reasons = {record.key: record.excluded for record in opened.records(excluded=True)}
    sources = opened.sources().items()
    return {source: reasons[key] for key, source in sources if key in reasons}


def set_excluded_in(cohort: Path, changes: Mapping[Source, str]) -> None:
    """Leave scans of a cohort out, or with an empty reason use them again."""
    from scanlearn.cohort.catalogue import Cohort

    if not (cohort / "cohort.yaml").is_file():
        return
    opened = Cohort(cohort)
    known = {record.key for record in opened.records(excluded=True)}
    for key, source in opened.sources().items():
        reason = changes.get(source)
        if key not in known or reason is None:
            continue
        if reason:
            opened.exclude(key, reason)
        else:
            opened.include(key)
