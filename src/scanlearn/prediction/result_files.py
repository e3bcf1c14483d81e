"""What the results of all tasks share: names of files, densities, the summary."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from scanlearn.anatomy.densitometry import (
    Density,
    densitometry,
    densitometry_cautions,
)
from scanlearn.anatomy.lungs import LungMask
from scanlearn.errors import BadLabels
from scanlearn.files import write_text
from scanlearn.prediction.summary import SUMMARY
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Scan, ScanEntry
from scanlearn.scans.tables.results import DISCLAIMER, Cell, read_results, write_results

Extra = Literal["dicom-seg", "figures"]

_DENSITIES = (
    *("lung", "part", "volume_ml", "laa950_percent", "perc15_hu", "mean_hu"),
    "caution",
)


@dataclass(frozen=True, eq=False)
class Saving:
    """Where the results of one scan go, and what they are called.

    Parameters
    ----------
    folder, name
        Files are ``FOLDER/NAME_…``.
    run
        Name of the run that predicted.
    extras
        What is written beside NIfTI and tables.
    asked
        Tells results of the same scan from those that were asked otherwise.
    """

    folder: Path
    name: str
    run: str
    extras: Collection[Extra] = ()
    asked: str = ""

    @property
    def summary(self) -> Path:
        """The summary, ``NAME_prediction.json``."""
        return self.folder / f"{self.name}{SUMMARY}"

    def path(self, ending: str) -> Path:
        """Return the file ``NAME_ENDING``."""
        return self.folder / f"{self.name}_{ending}"


def kind_of_source(entry: ScanEntry | None) -> str:
    """Return what a scan was read from, such as ``"dicom"``; ``"cohort"`` for None."""
    return "cohort" if entry is None else entry.kind


def write_summary(
    to: Saving,
    *,
    task: str,
    source: str,
    grid: Grid,
    tables: Sequence[Path],
    facts: dict[str, Any],
) -> Path:
    """Write ``NAME_prediction.json``, the last file of a result.

    Parameters
    ----------
    to
        Where to.
    task
        Name of the task, which can show the result.
    source
        Kind of the scan's source.
    grid
        Of the scan, LPS millimetres.
    tables
        CSV files of the result.
    facts
        What else a task says, by name; some are read into a
        :class:`scanlearn.prediction.summary.Prediction`.
    """
    document = {
        "run": to.run,
        "task": task,
        "scan": to.name,
        "source": source,
        "grid": {"shape": list(grid.shape), "affine": grid.affine.tolist()},
        "tables": [file.name for file in tables],
        **facts,
        "asked": to.asked,
        "disclaimer": DISCLAIMER,
    }
    write_text(to.summary, json.dumps(document, indent=2))
    return to.summary


def is_there(to: Saving) -> bool:
    """Whether a result was written before, by the same run and asked alike.

    The summary is written last: where it is, the result is whole.
    """
    try:
        about = json.loads(to.summary.read_text(encoding="utf-8"))
        return (about["run"], about.get("asked")) == (to.run, to.asked)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def with_row(
    rows: Sequence[dict[str, Cell]], row: dict[str, Cell], *, earlier: Path | None
) -> list[dict[str, Cell]]:
    """Return the rows of a table of scans with a new one.

    Of ``earlier``, a table from before, the rows of other scans stay, where they have
    the same columns.
    """
    before: Sequence[dict[str, Cell]] = rows
    if not rows and earlier is not None and earlier.exists():
        try:
            before = [dict(one) for one in read_results(earlier, [*row])]
        except BadLabels:
            before = []  # of another task, or asked otherwise
    return [*(one for one in before if one["scan"] != row["scan"]), row]


def densities_of(scan: Scan, lungs: LungMask | None) -> tuple[list[Density], list[str]]:
    """Measure the lungs of a chest CT, with cautions; nothing in any other scan."""
    if lungs is None or not lungs.volume_ml:
        return [], []
    cautions = densitometry_cautions(scan.acquisition, scan.grid.spacing_mm)
    cautions += [problem.text for problem in lungs.problems]
    return densitometry(scan, lungs), cautions


def write_densities(
    to: Saving, densities: Sequence[Density], cautions: Sequence[str]
) -> list[Path]:
    """Write ``NAME_densitometry.csv``; nothing where there are no densities."""
    if not densities:
        return []
    table = to.path("densitometry.csv")
    caution = {"caution": " ".join(cautions)}
    write_results(table, _DENSITIES, [rounded(row) | caution for row in densities])
    return [table]


def rounded(row: Density) -> dict[str, Any]:
    """Return a row without digits that no scanner measures."""
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in asdict(row).items()
    }


def headline(densities: Sequence[Density]) -> dict[str, float]:
    """Return the numbers of both lungs whole; empty where there are none."""
    for row in densities:
        if (row.lung, row.part) == ("both", "whole"):
            return {k: v for k, v in rounded(row).items() if isinstance(v, float)}
    return {}
