"""Scans left out on purpose, with the reason: a table named after the sources."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from scanlearn.cohort.layout import Source, write_rows
from scanlearn.errors import BadCohort

_COLUMNS = ("source", "series", "volume", "reason")

#: Why a scan is left out, by where it came from.
Exclusions = Mapping[Source, str]


def read_exclusions(path: Path) -> dict[Source, str]:
    """Read which scans are left out and why.

    Parameters
    ----------
    path
        A CSV with the columns ``source`` (relative to the table) and ``reason``;
        ``series`` and ``volume``, as ``scanlearn check --json`` tells them, where a
        source holds several scans.

    Raises
    ------
    BadCohort
        If it cannot be read or a scan has no reason.
    """
    expected = f"a CSV with the columns {', '.join(_COLUMNS)}"
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as problem:
        raise BadCohort(
            f"{path} cannot be read ({problem})", expected=expected
        ) from None
    found: dict[Source, str] = {}
    for line, row in enumerate(rows, start=2):
        source, reason = (row.get("source") or "").strip(), row.get("reason") or ""
        if not source or not reason.strip():
            raise BadCohort(
                f"{path}, line {line}, names no source or no reason",
                expected=expected,
                next_step="Say in a few words why the scan is left out.",
            )
        place = str(path.absolute().parent / Path(source).expanduser())
        series, volume = row.get("series") or "", row.get("volume") or ""
        found[Source(place, series, volume)] = reason.strip()
    return found


def write_exclusions(path: Path, exclusions: Exclusions) -> None:
    """Write which scans are left out and why. Private: it names source files."""
    write_rows(
        path,
        _COLUMNS,
        (
            (source.path, source.series, source.volume, reason)
            for source, reason in exclusions.items()
        ),
    )


def reason_for(source: Source, exclusions: Exclusions) -> str:
    """Return why a scan is left out; empty where it is not.

    A row without series and volume holds for every scan of its source.
    """
    return exclusions.get(source) or exclusions.get(Source(source.path)) or ""
