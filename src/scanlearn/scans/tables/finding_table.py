"""Findings as a table: what was found, where, how large, how sure.

The columns of ``NAME_findings.csv`` are ``score,x,y,z,diameter_mm,class`` of a volume:
the centre in LPS millimetres, as in all tables. Of a radiograph they are
``score,x_px,y_px,width_px,height_px,class``: a box in pixels of the file
(:mod:`scanlearn.scans.boxes`). One row a finding, in the order given; further columns
may follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from scanlearn.errors import BadLabels
from scanlearn.scans.tables.results import Cell, read_results, write_results

COLUMNS = ("score", "x", "y", "z", "diameter_mm", "class")
BOX_COLUMNS = ("score", "x_px", "y_px", "width_px", "height_px", "class")


def _check_score(score: float) -> None:
    if not 0 <= score <= 1:
        raise ValueError(f"a score lies between 0 and 1, not at {score}")


@dataclass(frozen=True)
class Finding:
    """One thing found in a volume.

    Parameters
    ----------
    score
        How sure the model is, from 0 to 1.
    centre
        (x, y, z) in LPS millimetres.
    diameter_mm
        Of the sphere that holds it.
    kind
        Name of its class.
    """

    columns: ClassVar = COLUMNS
    meaning: ClassVar = "a score from 0 to 1, a centre and a diameter in millimetres"

    score: float
    centre: tuple[float, float, float]
    diameter_mm: float
    kind: str

    def __post_init__(self) -> None:
        _check_score(self.score)
        if not all(math.isfinite(mm) for mm in self.centre):
            raise ValueError(f"a centre is a point in the patient, not {self.centre}")
        if not 0 < self.diameter_mm < math.inf:
            raise ValueError(f"a diameter is above 0 mm, not {self.diameter_mm}")

    def cells(self) -> tuple[float, ...]:
        """Return the numbers of its row."""
        return (self.score, *self.centre, self.diameter_mm)

    @classmethod
    def of_cells(cls, numbers: list[float], kind: str) -> Self:
        """Make a finding of the numbers of a row."""
        score, x, y, z, diameter = numbers
        return cls(score, (x, y, z), diameter, kind)


@dataclass(frozen=True)
class BoxFinding:
    """One thing found on a radiograph.

    Parameters
    ----------
    score
        How sure the model is, from 0 to 1.
    box
        (x, y, width, height) in pixels of the file; x and y of the corner at the top
        left.
    kind
        Name of its class.
    """

    columns: ClassVar = BOX_COLUMNS
    meaning: ClassVar = "a score from 0 to 1, and a box in pixels"

    score: float
    box: tuple[float, float, float, float]
    kind: str

    def __post_init__(self) -> None:
        _check_score(self.score)
        if not all(math.isfinite(px) for px in self.box):
            raise ValueError(f"a box lies on the image, not at {self.box}")
        if min(self.box[2:]) <= 0:
            raise ValueError(f"a box has a width and a height, not {self.box[2:]}")

    def cells(self) -> tuple[float, ...]:
        """Return the numbers of its row."""
        return (self.score, *self.box)

    @classmethod
    def of_cells(cls, numbers: list[float], kind: str) -> Self:
        """Make a finding of the numbers of a row."""
        score, x, y, width, height = numbers
        return cls(score, (x, y, width, height), kind)


_Found = TypeVar("_Found", Finding, BoxFinding)


def write_findings(
    path: Path,
    findings: Iterable[Finding | BoxFinding],
    kind: type[Finding | BoxFinding] = Finding,
    more: Mapping[str, Sequence[Cell]] | None = None,
) -> None:
    """Write findings of one kind; a table without rows says that nothing was found.

    ``more`` has further columns by name, with a cell a finding.
    """
    more = more or {}
    rows: list[dict[str, Cell]] = []
    for number, one in enumerate(findings):
        cells: tuple[Cell, ...] = (*map(float, one.cells()), one.kind)
        row = dict(zip(kind.columns, cells, strict=True))
        rows.append(row | {name: column[number] for name, column in more.items()})
    write_results(path, [*kind.columns, *more], rows)


def read_findings(path: Path) -> list[Finding]:
    """Read a table of findings in a volume, with every digit that was written.

    Raises
    ------
    BadLabels
        If the file is no such table; the message names the row.
    """
    return _read(path, Finding)


def read_box_findings(path: Path) -> list[BoxFinding]:
    """Read a table of findings on a radiograph; see :func:`read_findings`."""
    return _read(path, BoxFinding)


def _read(path: Path, kind: type[_Found]) -> list[_Found]:
    found = []
    for number, row in enumerate(read_results(path, kind.columns), start=2):
        try:
            numbers = [float(row[name]) for name in kind.columns[:-1]]
            found.append(kind.of_cells(numbers, row["class"]))
        except ValueError as error:
            raise BadLabels(
                f"{path}, row {number}: {error}",
                expected=kind.meaning,
                next_step="Correct the table and try again.",
            ) from error
    return found
