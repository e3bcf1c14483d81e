"""Scans left out on purpose, with the reason: a table named after the sources."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from scanlearn.cohort.layout import Source, write_rows
from scanlearn.errors import BadCohort, BadLabels
from scanlearn.scans.tables.named_files import named_file
from scanlearn.scans.tables.table_text import read_table_text

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
        found_text = read_table_text(path, column="source")
        lines = StringIO(found_text.text, newline="")
        rows = list(csv.DictReader(lines, delimiter=found_text.separator))
    except (BadLabels, csv.Error) as problem:
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
        folder = path.absolute().parent
        named = folder / Path(source).expanduser()
        place = str(named if named.exists() else named_file(folder, source) or named)
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
