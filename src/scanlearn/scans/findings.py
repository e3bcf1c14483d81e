"""Findings as a table: what was found, where in the patient, how large, how sure.

The columns of ``NAME_findings.csv`` are ``score,x,y,z,diameter_mm,class``: the centre
in LPS millimetres, as in all tables. One row a finding, in the order given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scanlearn.errors import BadLabels
from scanlearn.scans.results import Cell, read_results, write_results

COLUMNS = ("score", "x", "y", "z", "diameter_mm", "class")


@dataclass(frozen=True)
class Finding:
    """One thing found in a scan.

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

    score: float
    centre: tuple[float, float, float]
    diameter_mm: float
    kind: str

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"a score lies between 0 and 1, not at {self.score}")
        if not all(math.isfinite(mm) for mm in self.centre):
            raise ValueError(f"a centre is a point in the patient, not {self.centre}")
        if not 0 < self.diameter_mm < math.inf:
            raise ValueError(f"a diameter is above 0 mm, not {self.diameter_mm}")


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """Write findings as CSV; a table without rows says that nothing was found."""
    rows: list[dict[str, Cell]] = []
    for one in findings:
        x, y, z = (float(mm) for mm in one.centre)
        cells: tuple[Cell, ...] = (
            *(float(one.score), x, y, z, float(one.diameter_mm)),
            one.kind,
        )
        rows.append(dict(zip(COLUMNS, cells, strict=True)))
    write_results(path, COLUMNS, rows)


def read_findings(path: Path) -> list[Finding]:
    """Read a table of findings, with every digit that was written.

    Raises
    ------
    BadLabels
        If the file is no such table; the message names the row.
    """
    found = []
    for number, row in enumerate(read_results(path, COLUMNS), start=2):
        try:
            score, x, y, z, diameter = (float(row[name]) for name in COLUMNS[:5])
            found.append(Finding(score, (x, y, z), diameter, row["class"]))
        except ValueError as error:
            raise BadLabels(
                f"{path}, row {number}: {error}",
                expected="a score from 0 to 1, a centre and a diameter in millimetres",
                next_step="Correct the table and try again.",
            ) from error
    return found
