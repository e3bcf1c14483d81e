"""Columns of numbers as people of several countries write them.

``1.5``, ``1,5``, ``1 234,5``, ``1.234,5`` and ``1,234.5`` each mean one thing;
``1,234`` alone means two, and the other cells of the table may tell which.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: With points as the decimal sign and commas between thousands.
_POINTS = re.compile(
    r"[+-]?(?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+|(?=\.[0-9]))(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?"
)
_SWAPPED = str.maketrans(".,", ",.")

#: Blanks and apostrophes between thousands.
_GAPS = re.compile(r"(?<=[0-9])[ \u00a0\u2009\u202f'’](?=[0-9]{3}(?![0-9]))")


@dataclass(frozen=True)
class Readings:
    """What a text means with decimal points and with decimal commas; NaN for nothing.

    Parameters
    ----------
    text
        As it was found.
    points, commas
        Its two meanings.
    """

    text: str
    points: float
    commas: float

    @property
    def is_number(self) -> bool:
        """Whether it means a number at all."""
        return not (math.isnan(self.points) and math.isnan(self.commas))

    @property
    def has_two(self) -> bool:
        """Whether it means two different numbers."""
        both = not math.isnan(self.points) and not math.isnan(self.commas)
        return both and self.points != self.commas

    @property
    def needs_commas(self) -> bool:
        """Whether it is a number with decimal commas alone."""
        return math.isnan(self.points) and not math.isnan(self.commas)

    @property
    def needs_points(self) -> bool:
        """Whether it is a number with decimal points alone."""
        return math.isnan(self.commas) and not math.isnan(self.points)


def readings(text: str) -> Readings:
    """Return what a text may mean."""
    plain = _GAPS.sub("", text.strip()).replace("\u2212", "-")
    return Readings(text, _with_points(plain), _with_points(plain.translate(_SWAPPED)))


def column_of_numbers(
    cells: Sequence[Readings], *, commas: bool, semicolons: bool
) -> list[float] | str:
    """Return the numbers of a column, or the text of a cell that means two.

    Parameters
    ----------
    cells
        The column; cells that are no numbers become NaN.
    commas
        Whether decimal commas are used in the table, beyond doubt.
    semicolons
        Whether the table's columns are separated by semicolons, as programs do that
        write decimal commas.
    """
    points_here = any(cell.needs_points for cell in cells)
    commas_here = any(cell.needs_commas for cell in cells)
    found = []
    for cell in cells:
        if cell.has_two and points_here == commas_here:
            if "," in cell.text and (commas or semicolons):
                found.append(cell.commas)
            elif "," in cell.text or commas:
                return cell.text
            else:
                found.append(cell.points)
        elif cell.has_two:
            found.append(cell.commas if commas_here else cell.points)
        else:
            found.append(cell.commas if cell.needs_commas else cell.points)
    return found


def uses_commas(cells: Iterable[Readings]) -> bool:
    """Whether decimal commas are used in some cells beyond doubt."""
    return any(cell.needs_commas for cell in cells)


def _with_points(text: str) -> float:
    if not _POINTS.fullmatch(text):
        return math.nan
    number = float(text.replace(",", ""))
    return number if math.isfinite(number) else math.nan
