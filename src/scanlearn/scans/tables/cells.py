"""What the text of a table's cell, or of a field, says; and how a cell is written."""

from __future__ import annotations

import math

#: With these a spreadsheet begins a formula, also in their wide forms.
_FORMULA = tuple("=+-@\t\r＝＋－＠")

#: Before a text it says to spreadsheets that it is one.
_TEXT = "'"


def number_of(text: str) -> float:
    """Return the number a text holds, to the last digit; NaN for anything else."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def harmless(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula.

    One that begins like a formula and is no number gets an apostrophe before it.
    """
    return _TEXT + text if _may_be_formula(text) else text


def as_written(cell: str) -> str:
    """Return the text of a cell that :func:`harmless` wrote."""
    rest = cell.removeprefix(_TEXT)
    return rest if rest != cell and _may_be_formula(rest) else cell


def _may_be_formula(text: str) -> bool:
    # Spreadsheets pass over blanks before a formula; apostrophes are told apart.
    bare = text.lstrip(" \n").lstrip(_TEXT)
    return bare.startswith(_FORMULA) and math.isnan(number_of(bare))
