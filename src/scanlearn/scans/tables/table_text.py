"""The text of a table, whatever program wrote it: encoding and separator."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from pathlib import Path

from scanlearn.errors import BadLabels
from scanlearn.scans.files.signatures import cause_of

#: Longer ones first: UTF-16's mark begins UTF-32's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SEPARATORS = (",", ";", "\t", "|")

#: A table has a row a scan, a finding or a marked point: not millions.
MOST_ROWS, MOST_COLUMNS, MOST_BYTES = 300_000, 2_000, 200_000_000
_SAVE = "Save it as 'CSV UTF-8 (comma separated)' and try again"


@dataclass(frozen=True)
class TableText:
    """Decoded lines, and what separates the cells of a line."""

    text: str
    separator: str


def read_table_text(path: Path, *, column: str) -> TableText:
    """Read a table's text; a spreadsheet's first line ``sep=;`` is taken out.

    Parameters
    ----------
    path
        A text file in UTF-8, or in UTF-16 or UTF-32 with or without a mark.
    column
        A column that it should have, by which its separator is known.

    Raises
    ------
    BadLabels
        If it does not exist, is no text, or is in an encoding that cannot be told.
    """
    _refuse_large(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise BadLabels(
            f"the table {path} does not exist", next_step="Check its path"
        ) from error
    except OSError as error:
        cause, next_step = cause_of(path)
        raise BadLabels(
            f"the table {path} cannot be read: {cause or error}", next_step=next_step
        ) from error
    text = _decoded(path, raw)
    _refuse_many(path, text)
    told = re.match(r'"?sep=(.)"?[ ]*\r?\n', text, re.IGNORECASE)
    if told:
        return TableText(text[told.end() :], told[1])
    return TableText(text, _separator(text, column))


def _refuse_large(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size > MOST_BYTES:
        raise _too_much(path, f"{size / 1e6:,.0f} MB", f"{MOST_BYTES / 1e6:,.0f} MB")


def _refuse_many(path: Path, text: str) -> None:
    rows = max(text.count("\n"), text.count("\r"))
    if rows > MOST_ROWS:
        raise _too_much(path, f"{rows:,} rows", f"{MOST_ROWS:,} rows")
    first = text.lstrip("\r\n").partition("\n")[0]
    columns = 1 + max(map(first.count, SEPARATORS))
    if columns > MOST_COLUMNS:
        raise _too_much(path, f"{columns:,} columns", f"{MOST_COLUMNS:,} columns")


def _too_much(path: Path, found: str, most: str) -> BadLabels:
    return BadLabels(
        f"{path.name} has {found}: more than any table of scans and labels",
        expected=f"at most {most}",
        next_step="Take a part of it, or name folders of scans instead",
    )


def _decoded(path: Path, raw: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    encoding = encoding or _without_mark(raw[:400])
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise _no_text(path, raw, error) from error
    if "\0" in text:
        raise _no_text(path, raw, None)
    return text


def _without_mark(start: bytes) -> str:
    """Return the encoding of a text in Latin letters: every second byte may be zero."""
    half = max(1, len(start) // 2)
    if start[1::2].count(0) > 0.8 * half and start[0::2].count(0) == 0:
        return "utf-16-le"
    if start[0::2].count(0) > 0.8 * half and start[1::2].count(0) == 0:
        return "utf-16-be"
    return "utf-8"


def _no_text(path: Path, raw: bytes, error: UnicodeDecodeError | None) -> BadLabels:
    cause, next_step = cause_of(path)
    if not cause and error is not None:
        line = raw.count(b"\n", 0, error.start) + 1
        letter = raw[error.start : error.start + 1].decode("cp1252", "replace")
        cause = f"line {line} holds a letter (perhaps '{letter}') that is not in UTF-8"
    return BadLabels(
        f"{path.name} is no table: {cause or 'it is no text'}",
        expected="CSV in UTF-8 with a header",
        next_step=next_step or _SAVE,
    )


def _separator(text: str, column: str) -> str:
    """Return the separator under which the first line has the column, or most cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    cells = {sep: next(csv.reader([first], delimiter=sep), []) for sep in SEPARATORS}

    def fitness(separator: str) -> tuple[bool, int]:
        names = [cell.strip().casefold() for cell in cells[separator]]
        return column in names, len(names)

    return max(SEPARATORS, key=fitness)
