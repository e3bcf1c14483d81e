"""The sample cohort: phantoms written as DICOM and NIfTI, with labels and tables."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from scanlearn.errors import BadConfig
from scanlearn.phantom import tables
from scanlearn.phantom.chest import SPACING_MM, Phantom, make_chest
from scanlearn.phantom.dicom_out import write_dicom_radiograph, write_dicom_series
from scanlearn.phantom.radiograph import make_radiograph, write_png
from scanlearn.phantom.tables import Row
from scanlearn.scans.files.write_nifti import write_nifti

Progress = Callable[[int, int], None]
Kind = Literal["chest-ct", "radiograph"]


def write_sample(
    folder: Path,
    *,
    scans: int = 8,
    seed: int = 0,
    kind: Kind = "chest-ct",
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    progress: Progress | None = None,
) -> Path:
    """Write a sample cohort: all of it, or nothing.

    ``scans/`` holds what a hospital would send, half DICOM and half NIfTI (or DX and
    PNG); ``labels/`` and the tables beside it hold the ground truth.

    Parameters
    ----------
    folder
        Must not exist or be empty.
    spacing_mm
        Voxel size along (S, P, L) of the CT scans.
    progress
        Called with (done, total) after each scan.

    Raises
    ------
    BadConfig
        The folder has files in it, or there is no scan to write.
    """
    folder = Path(folder).absolute()
    _check(folder, scans)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        if kind == "chest-ct":
            _write_scans(draft, scans, seed, spacing_mm, progress)
        else:
            _write_radiographs(draft, scans, seed, progress)
        draft.chmod(0o755)  # a temporary folder is closed to others
        if folder.exists():
            folder.rmdir()
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _check(folder: Path, scans: int) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadConfig(
            f"{folder} is not empty",
            expected="a new folder for the sample cohort",
            next_step="Name another folder, or remove this one first",
        )
    if scans < 1:
        raise BadConfig(
            f"a sample of {scans} scans",
            expected="at least one",
            next_step="Ask for one scan or more",
        )


def _write_scans(
    folder: Path,
    scans: int,
    seed: int,
    spacing_mm: tuple[float, float, float],
    progress: Progress | None,
) -> None:
    nodules: list[Row] = []
    points: list[Row] = []
    outcomes: list[Row] = []
    classes: list[Row] = []
    for number in range(1, scans + 1):
        phantom = make_chest(seed, number, spacing_mm=spacing_mm)
        path = _write_scan(folder, phantom).relative_to(folder).as_posix()
        _write_labels(folder / "labels", phantom)
        nodules += tables.nodule_rows(path, phantom)
        points += tables.point_rows(path, phantom)
        outcomes.append(tables.outcome_row(path, phantom))
        classes.append(tables.class_row(path, phantom))
        if progress:
            progress(number, scans)
    tables.write_table(folder / "nodules.csv", tables.NODULES, nodules)
    tables.write_table(folder / "emphysema_points.csv", tables.POINTS, points)
    tables.write_table(folder / "outcomes.csv", tables.OUTCOMES, outcomes)
    tables.write_table(folder / "classes.csv", tables.CLASSES, classes)


def _write_scan(folder: Path, phantom: Phantom) -> Path:
    """Write a scan as DICOM or NIfTI in turn, so that both readers are on the path."""
    if phantom.patient.number % 2:
        series = folder / "scans" / "dicom" / phantom.name
        write_dicom_series(series, phantom)
        return series
    path = folder / "scans" / "nifti" / f"{phantom.name}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, phantom.scan.voxels, phantom.scan.grid)
    return path


def _write_labels(folder: Path, phantom: Phantom) -> None:
    for kind, label in phantom.truth.items():
        path = folder / kind / f"{phantom.name}_labels.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(path, label, phantom.scan.grid)


def _write_radiographs(
    folder: Path, scans: int, seed: int, progress: Progress | None
) -> None:
    boxes: list[Row] = []
    classes: list[Row] = []
    findings: list[Row] = []
    for number in range(1, scans + 1):
        image = make_radiograph(seed, number)
        if number % 2:
            path = folder / "scans" / "dicom" / f"{image.name}.dcm"
            write_dicom_radiograph(path, image)
        else:
            path = write_png(folder / "scans" / "png" / f"{image.name}.png", image)
        name = path.relative_to(folder).as_posix()
        boxes += tables.box_rows(name, image)
        classes.append((name, image.name, image.label))
        findings.append((name, image.name, ";".join(image.findings) or "normal"))
        if progress:
            progress(number, scans)
    tables.write_table(folder / "boxes.csv", tables.BOXES, boxes)
    tables.write_table(folder / "classes.csv", tables.CLASSES, classes)
    tables.write_table(folder / "findings.csv", tables.CLASSES, findings)
