"""Tables of results, as CSV: marked in every file, read again before they count.

A comment line would break the parsers that people open tables with, and a sidecar gets
lost. So every table has a last column named ``not_for_clinical_use``: the header says
it even where nothing was found.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scanlearn.errors import BadLabels
from scanlearn.files import written_beside
from scanlearn.scans.tables.cells import as_written, harmless

#: What every export says.
DISCLAIMER = "Not for clinical use"

#: Last column of every table of results; its cells hold "yes".
MARK = "not_for_clinical_use"

Cell = str | int | float | None


def write_results(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]
) -> None:
    """Write rows of results under a header, and read them again.

    Numbers keep every digit; None becomes an empty cell. A text that a spreadsheet
    would take for a formula gets an apostrophe before it.

    Raises
    ------
    OSError
        If the file differs when it is read again; it is not left behind.
    """
    cells = [[_text(row[name]) for name in columns] for row in rows]
    header = [*map(harmless, columns), MARK]
    with written_beside(Path(path)) as beside:
        with beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows([*row, "yes"] for row in cells)
        if _cells(beside) != [header, *([*row, "yes"] for row in cells)]:
            raise OSError(f"{path} was written, but differs when it is read again")


def read_results(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> list[dict[str, str]]:
    """Read the rows of a table of results, as text.

    Parameters
    ----------
    path
        A CSV file with a header.
    columns
        What must be there; other columns are left out.
    optional
        What is read, too, where it is there.

    Raises
    ------
    BadLabels
        If the file is no such table.
    """
    path = Path(path)
    try:
        header, *rows = [[as_written(c) for c in row] for row in _cells(path)] or [[]]
    except (OSError, UnicodeError, csv.Error) as error:
        raise _no_table(path, str(error), columns) from error
    missing = [name for name in columns if name not in header]
    if missing:
        raise _no_table(path, f"it has no column '{missing[0]}'", columns)
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise _no_table(path, f"row {number} has {len(row)} cells", columns)
    wanted = [*columns, *(name for name in optional if name in header)]
    places = {name: header.index(name) for name in wanted}
    return [{name: row[place] for name, place in places.items()} for row in rows]


def _cells(path: Path) -> list[list[str]]:
    # utf-8-sig also reads what spreadsheets save with a byte order mark.
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [row for row in csv.reader(file, strict=True) if row]


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return harmless(cell)
    return "" if cell is None else str(cell)


def _no_table(path: Path, found: str, columns: Sequence[str]) -> BadLabels:
    return BadLabels(
        f"{path} cannot be read as a table of results: {found}",
        expected=f"CSV with the columns {', '.join(columns)}",
        next_step="Choose a file that 'scanlearn predict' wrote.",
    )
