"""Tables of labels in and of results out, as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from scanlearn.errors import BadLabels
from scanlearn.files import written_beside
from scanlearn.letters import hidden_letter
from scanlearn.scans.tables.cells import harmless
from scanlearn.scans.tables.named_files import named_file, why_missing
from scanlearn.scans.tables.numbers import column_of_numbers, readings, uses_commas
from scanlearn.scans.tables.table_text import read_table_text

SPLITS = ("train", "val", "test")

#: Columns that hold files, relative to the table.
_PATHS = ("path", "mask")

#: Columns that stay text even where every cell looks like a number.
_TEXTS = ("path", "mask", "patient", "label", "split")

_SEEN = "letters, digits and signs that are seen"

#: Distance of an array's neighbouring voxels, for all axes or for each.
SPACINGS = ("spacing", "spacing_z", "spacing_y", "spacing_x")

#: Columns that belong together: a row has all of a group or none.
_GROUPS = (
    ("x", "y", "z"),
    ("x", "y", "z", "diameter"),
    ("x", "y", "width", "height"),
    SPACINGS[1:],
)

_POSITIVE = ("diameter", "width", "height", *SPACINGS)
_NUMBERS = ("x", "y", "z", "time", "event", "index", *_POSITIVE)


def read_table(
    path: Path,
    *,
    needed: Sequence[Sequence[str]] = ((),),
    patient_from: str = "",
) -> pd.DataFrame:
    """Read a table of scans and their labels.

    Parameters
    ----------
    path
        A CSV file with a header; messages count the header as row 1, as a spreadsheet
        does. Empty lines are skipped.
    needed
        Columns that must be there beside ``path``: one of these groups whole.
    patient_from
        Column that tells the patients, in place of ``patient``.

    Returns
    -------
    pandas.DataFrame
        One row per row of the file. ``path`` and ``mask`` are absolute :class:`Path`
        objects, coordinates float (NaN where the cell is empty), ``patient``, ``label``
        and ``split`` text (empty where the cell is). Other columns are kept: numbers
        where every cell is one.

    Raises
    ------
    BadLabels
        If columns are missing or twice there, a file does not exist, a cell has an
        impossible value, or a patient is in two splits. The message names the row.
    """
    path = Path(path)
    table, semicolons = _read_text(path)
    _check_columns(path, table, needed)
    _check_letters(path, table)
    if patient_from:
        table["patient"] = _patients(path, table, patient_from)
    for column in _PATHS:
        if column in table:
            table[column] = _resolved(path, table[column])
    read = {
        column: table[column].map(readings)
        for column in table.columns
        if column not in _TEXTS
    }
    commas = uses_commas(cell for column in read.values() for cell in column)
    for column, cells in read.items():
        table[column] = _numbers(
            path, table[column], cells, commas=commas, semicolons=semicolons
        )
    _check_values(path, table)
    _check_splits(path, table)
    return table.reset_index(drop=True)


def write_table(path: Path, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV, no cell of them a formula; whole or not at all."""
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    table = table.map(lambda cell: harmless(cell) if isinstance(cell, str) else cell)
    table = table.rename(columns=lambda name: harmless(str(name)))
    with written_beside(Path(path)) as beside:
        table.to_csv(beside, index=False, lineterminator="\n")


def _read_text(path: Path) -> tuple[pd.DataFrame, bool]:
    """Return the cells of a table, and whether semicolons separate them."""
    found = read_table_text(path, column="path")
    try:
        table: pd.DataFrame = pd.read_csv(
            StringIO(found.text),
            sep=found.separator,
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BadLabels(
            f"{path.name} is no table: {error}",
            expected="CSV in UTF-8 with a header and the same columns in each row",
            next_step="Save it as CSV (comma separated, UTF-8) and try again.",
        ) from error
    # The index stays that of the file, so that messages can name the row.
    table = table.fillna("").apply(lambda column: column.str.strip())
    header, rows = table.iloc[0], table.iloc[1:]
    rows = rows[(rows != "").any(axis=1)].copy()
    rows.columns = pd.Index(_known_names(list(header)), name=None)
    return rows, found.separator == ";"


def _known_names(header: list[str]) -> list[str]:
    """Write known columns as they are documented; capitals do not matter."""
    known = {*_TEXTS, *_NUMBERS, "volume"}
    return [
        name.casefold()
        if name.casefold() in known and name.casefold() not in header
        else name
        for name in header
    ]


def _check_columns(
    path: Path, table: pd.DataFrame, needed: Sequence[Sequence[str]]
) -> None:
    columns = list(table.columns)
    twice = [name for name in columns if not name or columns.count(name) > 1]
    if twice:
        found = (
            f"the column '{twice[0]}' twice" if twice[0] else "a column with no name"
        )
        raise BadLabels(
            f"{path.name} has {found}",
            expected="a different name above each column",
            next_step="Rename or remove the column.",
        )
    if "path" not in columns:
        raise BadLabels(
            f"{path.name} has no column 'path', only {', '.join(columns)}",
            expected="a header with the column 'path'",
            next_step="Add the column with each scan's file, relative to the table.",
        )
    if table.empty:
        raise BadLabels(
            f"{path.name} has a header but no rows",
            expected="one row a scan or label",
            next_step="Add rows.",
        )
    if not any(set(group) <= set(columns) for group in needed):
        groups = " or ".join(", ".join(group) for group in needed)
        raise BadLabels(
            f"{path.name} has the columns {', '.join(columns)}",
            expected=f"also {groups}",
            next_step="Add the missing columns, or choose another task.",
        )


def _check_letters(path: Path, table: pd.DataFrame) -> None:
    """Refuse names with letters that are not seen: two classes would look the same."""
    hidden = next(filter(None, map(hidden_letter, table.columns)), "")
    if hidden:
        raise BadLabels(
            f"{path.name} has a column with {hidden} in its name, which is not seen",
            expected=_SEEN,
            next_step="Type the name of the column anew.",
        )
    for column in [name for name in table.columns if name not in _PATHS]:
        wrong = table[column].map(hidden_letter).astype(bool)
        if wrong.any():
            hidden = hidden_letter(table[column][wrong].iloc[0])
            found = f"holds {hidden}, which is not seen"
            raise _bad_cell(path, wrong, column, found, _SEEN)


def _patients(path: Path, table: pd.DataFrame, column: str) -> pd.Series[str]:
    if column not in table:
        raise BadLabels(
            f"{path.name} has no column '{column}', only {', '.join(table.columns)}",
            expected="the column that tells the patients",
            next_step="Correct --patient-from.",
        )
    empty = table[column] == ""
    if empty.any():
        raise _bad_cell(path, empty, column, "is empty", "the patient of each scan")
    patients: pd.Series[str] = table[column]
    return patients


def _resolved(path: Path, cells: pd.Series[str]) -> pd.Series[Any]:
    empty = cells == ""
    if empty.any():
        raise _bad_cell(path, empty, cells.name, "is empty", "the path of a file")
    # A scan is named in hundreds of rows: its file is looked for once.
    found = {cell: named_file(path.parent, cell) for cell in cells.unique()}
    files = cells.map(found.__getitem__)
    missing = files.isna()
    if missing.any():
        cell = cells[missing].iloc[0]
        why = why_missing(path.parent, cell)
        more = int(missing.sum()) - 1
        also = f", and {more} more do not either" if more else ""
        raise _bad_cell(
            path,
            missing,
            cells.name,
            f"names {path.parent / cell}, {why}{also}",
            "paths relative to the table",
        )
    return files


def _numbers(
    path: Path,
    cells: pd.Series[str],
    read: pd.Series[Any],
    *,
    commas: bool,
    semicolons: bool,
) -> pd.Series[Any]:
    wrong = ~read.map(lambda cell: cell.is_number).astype(bool) & (cells != "")
    if not wrong.any():
        numbers = column_of_numbers(list(read), commas=commas, semicolons=semicolons)
        if not isinstance(numbers, str):
            return pd.Series(numbers, index=cells.index, dtype=float)
        raise _bad_cell(
            path,
            cells == numbers.strip(),
            cells.name,
            f"is '{numbers}', which may be a fraction or thousands",
            "numbers with a decimal point and nothing between thousands",
        )
    if cells.name in _NUMBERS:
        found = f"is '{cells[wrong].iloc[0]}'"
        raise _bad_cell(path, wrong, cells.name, found, "a number or an empty cell")
    return cells


def _check_values(path: Path, table: pd.DataFrame) -> None:
    for group in _GROUPS:
        if set(group) <= set(table.columns):
            filled = table[list(group)].notna()
            partly = filled.any(axis=1) & ~filled.all(axis=1)
            if partly.any():
                columns = ", ".join(group)
                raise _bad_cell(
                    path, partly, columns, "is filled in part", "all of them or none"
                )
    for column in _POSITIVE:
        if column in table:
            wrong = table[column] <= 0
            if wrong.any():
                found = f"is {table[column][wrong].iloc[0]:g}"
                raise _bad_cell(path, wrong, column, found, "a size above 0")
    if "event" in table:
        wrong = ~table["event"].isin([0, 1]) & table["event"].notna()
        if wrong.any():
            found = f"is {table['event'][wrong].iloc[0]:g}"
            raise _bad_cell(path, wrong, "event", found, "1 (happened) or 0 (censored)")


def _check_splits(path: Path, table: pd.DataFrame) -> None:
    if "split" not in table:
        return
    wrong = ~table["split"].isin([*SPLITS, ""])
    if wrong.any():
        found = f"is '{table['split'][wrong].iloc[0]}'"
        raise _bad_cell(
            path, wrong, "split", found, "train, val, test or an empty cell"
        )
    if "patient" not in table:
        return
    known = table[(table["patient"] != "") & (table["split"] != "")]
    splits = known.groupby("patient")["split"].unique()
    shared = splits[splits.map(len) > 1]
    if len(shared):
        both = " and ".join(shared.iloc[0])
        raise BadLabels(
            f"{path.name} has patient {shared.index[0]} in {both}",
            expected="every patient in one split, or the results would be too good",
            next_step="Give all rows of the patient the same split.",
        )


def _bad_cell(
    path: Path, rows: pd.Series[bool], column: Any, found: str, expected: str
) -> BadLabels:
    row = int(rows[rows].index[0]) + 1
    return BadLabels(
        f"{path.name}, row {row}: {column} {found}",
        expected=expected,
        next_step="Correct the table and try again.",
    )
