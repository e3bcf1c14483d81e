"""Clinical numbers of scans to predict on: from a table, or the same for all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanlearn.errors import BadLabels
from scanlearn.scans.tables.cells import number_of
from scanlearn.scans.tables.label_tables import read_table
from scanlearn.tasks.shared.table_rows import row_source

Source = tuple[Path, str]
Numbers = tuple[float, ...]

_EXAMPLE = "a table with path and these columns, or such as age=63,sex=1"


@dataclass(frozen=True)
class Covariates:
    """The clinical numbers of scans.

    Parameters
    ----------
    names
        Which numbers, in the order a model takes them.
    of_source
        By the path of a scan and its number in a stack.
    of_all
        Those of every scan without a row.
    """

    names: tuple[str, ...]
    of_source: Mapping[Source, Numbers]
    of_all: Numbers | None = None

    def of(self, source: Source) -> Numbers:
        """Return the numbers of a scan.

        Raises
        ------
        BadLabels
            If it has none.
        """
        found = self.of_source.get(source, self.of_all)
        if found is None:
            raise BadLabels(
                "The table of covariates has no whole row for this scan",
                expected=f"its path, and numbers for {', '.join(self.names)}",
                next_step="Complete the table, or predict without covariates",
            )
        return found


def read_covariates(said: str, names: Sequence[str]) -> Covariates:
    """Read what a user says of the covariates that a model was taught with.

    Parameters
    ----------
    said
        The path of a table, or ``NAME=NUMBER,…`` for every scan.
    names
        Of the covariates, in the model's order.

    Raises
    ------
    BadLabels
        If one of them is missing or no number.
    """
    if "=" not in said or Path(said).is_file():
        return _of_table(Path(said), names)
    given = dict(part.split("=", 1) for part in said.split(",") if "=" in part)
    given = {name.strip(): value.strip() for name, value in given.items()}
    missing = [name for name in names if name not in given]
    strange = [name for name in given if name not in names]
    if missing or strange:
        raise BadLabels(
            f"The covariates given are {', '.join(given) or 'none'}",
            expected=", ".join(names),
            next_step=f"Give {_EXAMPLE}",
        )
    numbers = tuple(_number(name, given[name]) for name in names)
    return Covariates(tuple(names), {}, numbers)


def _of_table(path: Path, names: Sequence[str]) -> Covariates:
    table = read_table(path)
    missing = [name for name in names if name not in table]
    if missing:
        raise BadLabels(
            f"{path.name} has no column '{missing[0]}'",
            expected=f"the columns path, {', '.join(names)}",
            next_step=f"Give {_EXAMPLE}",
        )
    found: dict[Source, Numbers] = {}
    rows: list[dict[Any, Any]] = table.to_dict("records")
    for row in rows:
        cells = [row[name] for name in names]
        if not any(cell == "" or cell != cell for cell in cells):
            pairs = zip(names, cells, strict=True)
            found[row_source(row)] = tuple(_number(name, cell) for name, cell in pairs)
    return Covariates(tuple(names), found)


def _number(name: str, value: object) -> float:
    number = number_of(str(value))
    if math.isnan(number):
        raise BadLabels(
            f"The covariate '{name}' is '{value}'",
            expected="a number, such as 0 and 1 for two groups",
            next_step="Give it as it was given in the training",
        )
    return number
