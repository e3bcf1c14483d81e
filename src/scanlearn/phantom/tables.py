"""The ground truth of a sample cohort as tables that every task reads."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from scanlearn.phantom.chest import Phantom
from scanlearn.phantom.emphysema import SUBTYPES
from scanlearn.phantom.radiograph import Radiograph

Row = tuple[str | float | int, ...]

#: Texture points a scan, and the side of the cube that must be mostly of one class.
_POINTS = 12
_CUBE_MM = 20.0
_MOSTLY = {"centrilobular": 0.15, "paraseptal": 0.2, "panlobular": 0.7}

NODULES = ("path", "patient", "x", "y", "z", "diameter")
POINTS = ("path", "patient", "x", "y", "z", "label")
OUTCOMES = ("path", "patient", "severity", "fev1_percent", "time", "event")
CLASSES = ("path", "patient", "label")
BOXES = ("path", "patient", "x", "y", "width", "height")


def write_table(path: Path, header: Sequence[str], rows: Iterable[Row]) -> Path:
    """Write rows as CSV with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def nodule_rows(path: str, phantom: Phantom) -> list[Row]:
    """Return one row a nodule; one with empty columns where there is none."""
    rows: list[Row] = [
        (path, phantom.name, *_mm(nodule.centre_mm), round(nodule.diameter_mm, 2))
        for nodule in phantom.nodules
    ]
    return rows or [(path, phantom.name, "", "", "", "")]


def point_rows(path: str, phantom: Phantom) -> list[Row]:
    """Return points in lung of one kind: normal, or the patient's emphysema."""
    rng = phantom.patient.generator("points")
    lungs = phantom.truth["lungs"] > 0
    share = _share(phantom.truth["emphysema"] > 0, phantom)
    deep = _share(lungs, phantom) > 0.7
    kinds = {"normal": lungs & deep & (share < 0.005)}
    subtype = phantom.emphysema.subtype
    if SUBTYPES[subtype]:
        kinds[subtype] = lungs & (share > _MOSTLY[subtype])
    rows: list[Row] = []
    for label, where in kinds.items():
        places = np.flatnonzero(where)
        chosen = rng.choice(places, min(_POINTS, len(places)), replace=False)
        index = np.stack(np.unravel_index(np.sort(chosen), where.shape), axis=1)
        for point in phantom.scan.grid.to_patient(index):
            rows.append((path, phantom.name, *_mm(point), label))
    return rows


def outcome_row(path: str, phantom: Phantom) -> Row:
    """Return the simulated course of a patient."""
    one = phantom.outcome
    course = (one.severity, one.fev1_percent, one.time_years, int(one.event))
    return (path, phantom.name, *course)


def class_row(path: str, phantom: Phantom) -> Row:
    """Return what a scan shows: its emphysema and ``nodule``, joined by ``;``."""
    subtype = phantom.emphysema.subtype
    found: list[str] = [subtype] if subtype != "none" else []
    found += ["nodule"] if phantom.nodules else []
    return (path, phantom.name, ";".join(found) or "normal")


def box_rows(path: str, radiograph: Radiograph) -> list[Row]:
    """Return one row a nodule in pixels; one with empty columns where there is none."""
    rows: list[Row] = [
        (path, radiograph.name, *(round(value, 2) for value in box))
        for box in radiograph.boxes
    ]
    return rows or [(path, radiograph.name, "", "", "", "")]


def _share(mask: NDArray[np.bool_], phantom: Phantom) -> NDArray[np.float32]:
    """Return the share of a mask in the cube around each voxel."""
    size = [max(1, round(_CUBE_MM / mm)) for mm in phantom.scan.grid.spacing_mm]
    return np.asarray(uniform_filter(mask.astype(np.float32), size), np.float32)


def _mm(point: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(mm), 2) for mm in point)
