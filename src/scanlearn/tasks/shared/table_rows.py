"""Which scan of a cohort a row of a table names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.layout import Source


def scan_keys(cohort: Cohort) -> dict[tuple[Path, str], str]:
    """Return the key of each scan by its source's path and its number in a stack."""
    sources: Mapping[str, Source] = cohort.sources()
    return {place_of(source): key for key, source in sources.items()}


def place_of(source: Source) -> tuple[Path, str]:
    """Return what a table names a source by: its path, and the number in a stack."""
    return Path(source.path).resolve(), source.volume


def row_source(row: Mapping[str, Any]) -> tuple[Path, str]:
    """Return what a table's row names: a path, and the number in a stack."""
    index = row.get("index")
    number = "" if index is None or index != index else str(int(index))
    return row["path"], number
