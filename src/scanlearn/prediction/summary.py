"""``NAME_prediction.json``: what was found in one scan, and in which files it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scanlearn.documents import parse_json, read_text
from scanlearn.errors import BadScan
from scanlearn.scans.geometry import Grid

Format = Literal["nifti", "dicom-seg", "tables", "figures"]

#: Value of voxels below -950 HU in ``NAME_laa950.nii.gz``: no class has its colour
#: before the seventh.
LOW = 7

#: What the names of summaries end in.
SUMMARY = "_prediction.json"


@dataclass(frozen=True)
class FoundClass:
    """One class of a result; ``sd_ml`` is its volume's s.d. over several views."""

    value: int
    name: str
    ml: float
    sd_ml: float | None = None

    @property
    def volume_text(self) -> str:
        """The volume with its unit: ``"12.4 ml"``, ``"4,810 ± 35 ml"``."""
        digits = 0 if self.ml >= 100 else 1
        spread = "" if self.sd_ml is None else f" ± {self.sd_ml:,.{digits}f}"
        return f"{self.ml:,.{digits}f}{spread} ml"


@dataclass(frozen=True)
class Prediction:
    """The files of one scan's result, in the scan's source grid.

    Parameters
    ----------
    run, task
        Name of the run that predicted, and what it had learned.
    scan
        How the files' names begin.
    source
        Kind of the scan's source, such as ``"dicom"``.
    grid
        The scan's own, LPS millimetres.
    folder
        Where the files are.
    labels, probabilities, uncertainty
        NIfTI files, where the task makes any.
    maps
        NIfTI files of what is neither, such as class-activation maps.
    tables
        CSV files.
    classes
        What was looked for, with volumes.
    lungs
        LAA-950, Perc15 and the like of both lungs; empty where none were found.
    cautions
        What makes these hard to compare.
    facts
        The whole document, for what only one task says.
    """

    run: str
    task: str
    scan: str
    source: str
    grid: Grid
    folder: Path
    labels: Path | None
    probabilities: Path | None
    uncertainty: Path | None
    maps: tuple[Path, ...]
    tables: tuple[Path, ...]
    classes: tuple[FoundClass, ...]
    lungs: dict[str, float]
    cautions: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def niftis(self) -> tuple[Path, ...]:
        """The label map, with it what was kept of its probabilities, and other maps."""
        files = (self.labels, self.probabilities, self.uncertainty, *self.maps)
        return tuple(f for f in files if f is not None and f.exists())

    def why_not(self, wanted: Format) -> str:
        """Say why the result cannot be saved in a format; empty where it can."""
        if wanted == "dicom-seg" and self.maps:
            return "This result outlines nothing: it has no label map"
        if wanted != "tables" and self.labels is None and not self.maps:
            return "This result is a table: it has no label map"
        return why_no_dicom_seg(self.source) if wanted == "dicom-seg" else ""

    def table(self, ending: str) -> Path | None:
        """Return the table ``NAME_ENDING``, where there is one."""
        name = f"{self.scan}_{ending}"
        return next((file for file in self.tables if file.name == name), None)


def why_no_dicom_seg(source: str) -> str:
    """Say why a scan's source cannot have a DICOM-SEG; empty where it can."""
    if source == "dicom":
        return ""
    return "The scan is not DICOM: a DICOM-SEG refers to the slices it was made from"


def read_predictions(folder: Path) -> list[Prediction]:
    """Read what a predict job wrote: one result a scan."""
    return [read_prediction(file) for file in sorted(folder.glob(f"*{SUMMARY}"))]


def read_prediction(file: Path) -> Prediction:
    """Read the summary of one result, ``NAME_prediction.json``.

    Raises
    ------
    BadScan
        If it is no such summary.
    """
    try:
        about = parse_json(read_text(file))
        return _prediction(file, about)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadScan(
            f"{file} is no prediction: {error}",
            expected="a NAME_prediction.json that 'scanlearn predict' wrote",
            next_step="Name one of those, or predict again",
        ) from error


def _prediction(file: Path, about: dict[str, Any]) -> Prediction:
    classes = tuple(
        FoundClass(int(c["value"]), str(c["name"]), float(c["ml"]), c.get("sd_ml"))
        for c in about.get("classes", [])
    )
    return Prediction(
        run=str(about["run"]),
        task=str(about["task"]),
        scan=str(about["scan"]),
        source=str(about["source"]),
        grid=_grid(about["grid"]),
        folder=file.parent,
        labels=_file(file.parent, about.get("labels")),
        probabilities=_file(file.parent, about.get("probabilities")),
        uncertainty=_file(file.parent, about.get("uncertainty")),
        maps=tuple(file.parent / name for name in about.get("maps", [])),
        tables=tuple(file.parent / name for name in about["tables"]),
        classes=classes,
        lungs={str(k): float(v) for k, v in about.get("lungs", {}).items()},
        cautions=tuple(str(text) for text in about.get("cautions", [])),
        facts=about,
    )


def _grid(about: dict[str, Any]) -> Grid:
    slices, rows, columns = (int(size) for size in about["shape"])
    return Grid((slices, rows, columns), np.array(about["affine"], dtype=float))


def _file(folder: Path, name: str | None) -> Path | None:
    return folder / name if name else None
