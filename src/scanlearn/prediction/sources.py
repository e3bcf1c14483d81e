"""The scans of a file or folder, and what their results are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from scanlearn.cohort.preparation.plan import stem_of
from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.scan import ScanEntry


def named_scans(source: Path, series: str = "") -> list[tuple[str, ScanEntry]]:
    """Return each scan with the name its results get: that of its source.

    Parameters
    ----------
    source
        A scan or a folder of scans.
    series
        Only the series with this UID.

    Raises
    ------
    BadScan
        If there is no scan, or no such series.
    """
    entries = [e for e in find_scans(source) if not series or e.series_uid == series]
    if not entries:
        raise BadScan(
            f"{source} has no series {series}",
            next_step="'scanlearn info' lists the series of a folder",
        )
    return list(zip(_names(entries), entries, strict=True))


def scan_named(name: str, source: Path, series: str = "") -> ScanEntry:
    """Return the scan that a result of this name was made from.

    Raises
    ------
    BadScan
        If there is none of that name, but several others.
    """
    scans = named_scans(source, series)
    if len(scans) == 1:
        return scans[0][1]
    for own, entry in scans:
        if own == name:
            return entry
    raise BadScan(
        f"{source} holds {len(scans)} scans, but none is named {name}",
        expected="the scan that was predicted on",
        next_step="Name its own file or folder",
    )


def _names(entries: Sequence[ScanEntry]) -> list[str]:
    """Name results like their sources; equal names are numbered."""
    names: list[str] = []
    for entry in entries:
        stem = re.sub(r"[^\w.-]+", "_", stem_of(entry.path)) or "scan"
        name, n = stem, 1
        while name in names:
            n += 1
            name = f"{stem}_{n}"
        names.append(name)
    return names
