"""Scans named by a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scanlearn.errors import BadLabels
from scanlearn.scans.find import find_scans
from scanlearn.scans.scan import ScanEntry
from scanlearn.scans.tables import read_table


def entries_of_table(path: Path) -> list[ScanEntry]:
    """Return the scans that the ``path`` column of a table names, each once.

    The ``patient`` column, where there is one, says whose they are.

    Raises
    ------
    BadLabels
        If it is no such table, or gives one scan to two patients.
    BadScan
        If one of its paths is no scan.
    """
    table = read_table(path)
    patients = table["patient"] if "patient" in table else [""] * len(table)
    owner_of: dict[Path, str] = {}
    for scan, patient in zip(table["path"], patients, strict=True):
        if owner_of.setdefault(scan, patient) != patient:
            raise BadLabels(
                f"{Path(path).name} gives {scan.name} to two patients",
                expected="the same patient in all rows of a scan",
                next_step="Correct the table: splits by patient depend on it.",
            )
    return [
        replace(entry, patient=patient) if patient else entry
        for scan, patient in owner_of.items()
        for entry in find_scans(scan)
    ]
