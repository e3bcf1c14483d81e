"""Scans named by a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from scanlearn.errors import BadLabels
from scanlearn.scans.files.array import Spacing, array_entry
from scanlearn.scans.find import find_scans, kind_of
from scanlearn.scans.scan import ScanEntry
from scanlearn.scans.tables.label_tables import SPACINGS, read_table

#: Columns that say something of a scan: the same in all its rows.
_OF_SCAN = ("patient", "split", *SPACINGS)


def entries_of_table(path: Path, *, patient_from: str = "") -> list[ScanEntry]:
    """Return the scans that the ``path`` column of a table names, each once.

    The ``patient`` column, where there is one, says whose they are, or the column
    ``patient_from``. Of an array
    (``.npy``) ``spacing``, or ``spacing_z``, ``spacing_y`` and ``spacing_x``, say its
    millimetres, and ``index`` which entry of a stack a row is about; of a 4D file
    ``volume`` says which volume.

    Raises
    ------
    BadLabels
        If it is no such table, or tells two things of one scan.
    BadScan
        If one of its paths is no scan.
    """
    table = read_table(path, patient_from=patient_from)
    told_of: dict[tuple[Path, int | None], dict[str, Any]] = {}
    for row in table.to_dict("records"):
        scan, index = row["path"], _index(row, Path(path).name)
        told = {name: row[name] for name in _OF_SCAN if _is_filled(row.get(name))}
        before = told_of.setdefault((scan, index), told)
        for name in _OF_SCAN:
            if before.get(name) != told.get(name):
                raise BadLabels(
                    f"{Path(path).name} gives {scan.name} to two {name}s",
                    expected=f"the same {name} in all rows of a scan",
                    next_step="Correct the table: splits by patient depend on it."
                    if name in ("patient", "split")
                    else "Correct the table.",
                )
    return [
        replace(entry, identity=told.get("patient", ""))
        for (scan, index), told in told_of.items()
        for entry in _entries(scan, index, told)
    ]


def _entries(scan: Path, index: int | None, told: dict[str, Any]) -> list[ScanEntry]:
    if kind_of(scan) == "array":
        return [array_entry(scan, volume=index, spacing_mm=_spacing(told))]
    if index is None:
        return find_scans(scan)
    return [
        # Nothing is left to choose.
        replace(
            entry,
            volume=index,
            problems=tuple(p for p in entry.problems if p.code != "4d"),
        )
        for entry in find_scans(scan)
    ]


def _spacing(told: dict[str, Any]) -> Spacing | None:
    same, *each = SPACINGS
    if each[0] in told:
        return told[each[0]], told[each[1]], told[each[2]]
    return (told[same],) * 3 if same in told else None


def _index(row: dict[Any, Any], table: str) -> int | None:
    """Return which entry of a stack, or which volume of a 4D file, a row names."""
    # Tables often have such columns of their own: to other files they say nothing.
    is_stack = kind_of(row["path"]) == "array"
    column = "index" if is_stack else "volume"
    index: Any = row.get(column)
    if not _is_filled(index) or not (is_stack or _is_4d(row["path"])):
        return None
    if not isinstance(index, float | int) or index < 0 or index != int(index):
        raise BadLabels(
            f"{table} has the {column} {index} for {row['path'].name}",
            expected="a whole number, counted from 0",
            next_step="Correct the table and try again.",
        )
    return int(index)


def _is_4d(path: Path) -> bool:
    return any(len(entry.shape) == 4 for entry in find_scans(path))


def _is_filled(cell: Any) -> bool:
    return not (cell is None or cell == "" or pd.isna(cell))
