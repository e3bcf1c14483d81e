"""DICOM RT-STRUCT contours in, filled on the grid of their scan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadLabels
from scanlearn.scans.dicom.inflated import refuse_inflation
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.contour_planes import (
    Flat,
    Plane,
    flatten,
    nearest_planes,
    planes_of_contours,
)
from scanlearn.scans.labels.contours import fill_contours, fill_polygons
from scanlearn.scans.labels.label_arrays import LabelMap, Note, as_labels
from scanlearn.scans.labels.label_regions import lay_regions, region_of

#: Contours that bound an area, as the standard and as other writers name them.
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR", "INTERPOLATED_PLANAR", "CLOSEDPLANAR_XOR")

#: Its contours are meant to cut holes into each other wherever they overlap.
_EXCLUSIVE = "CLOSEDPLANAR_XOR"

#: Contours that are further from their slice than this are told, in slices.
_BESIDE = 0.1

_NO_AREA = "points, open lines and contours of unknown kind were left out"
_MOVED = "contours between slices were drawn on the nearest one"
_CROWDED = "contours between slices were left out: others are nearer to each slice"
_OUTSIDE = "contours outside the scan were left out"
_TOO_SMALL = "contours that reach no voxel's centre were left out"
_SPARSE = "contours lie on every second slice or fewer; those between stay empty"


@dataclass(frozen=True)
class _Drawn:
    """One region: its name, its closed contours in LPS mm, and how many others."""

    name: str
    contours: list[tuple[NDArray[np.float64], bool]] = field(default_factory=list)
    others: int = 0


class _Notes:
    """How many contours of each region were treated in some way."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, str]] = defaultdict(dict)

    def add(self, kind: str, region: str, count: int, more: str = "") -> None:
        """Note a number of contours; nothing for none."""
        if count:
            self._found[kind][region] = f"{region} {count}{more}"

    def all(self) -> tuple[Note, ...]:
        """Return one note a kind, with all regions that it is about."""
        return tuple(
            Note(kind, ", ".join(regions.values()))
            for kind, regions in self._found.items()
        )


def read_rtstruct(path: Path, *, like: Grid) -> LabelMap:
    """Fill the closed contours of every region on a grid.

    A voxel is inside where its centre is. Contours are drawn on the slice nearest to
    them; those of one region are united, one inside another cuts a hole. Regions are
    numbered 1, 2, … in the order of their ROI numbers; where they overlap, the smaller
    one shows.

    Raises
    ------
    BadLabels
        If no contour reaches a voxel, or contours do not lie in planes of the grid.
    """
    drawn = _regions(_open(path), path.name)
    notes = _Notes()
    found = [
        region_of(label, _region_mask(region, like, path.name, notes))
        for label, region in enumerate(drawn, start=1)
    ]
    if not any(found):
        told = "; ".join(note.text for note in notes.all())
        raise BadLabels(
            f"{path.name} has no closed contour that reaches a voxel of the scan"
            + (f" ({told})" if told else ""),
            expected="closed planar contours drawn on this scan",
            next_step="Check that the contours belong to the scan.",
        )
    names = {label: region.name for label, region in enumerate(drawn, start=1)}
    laid = lay_regions(found, like.shape, names)
    everything = (*notes.all(), *laid.notes)
    return LabelMap(as_labels(laid.labels, path.name), like, laid.names, everything)


def read_roi_names(path: Path) -> dict[int, str]:
    """Return the region names by the labels that :func:`read_rtstruct` gives them."""
    regions = _regions(_open(path), path.name)
    return {label: region.name for label, region in enumerate(regions, start=1)}


def _open(path: Path) -> Any:
    from pydicom import dcmread

    refuse_inflation(path)
    return dcmread(path)


def _regions(dataset: Any, name: str) -> list[_Drawn]:
    """Return the regions of a structure set by ROI number, empty ones included."""
    stated = [
        (int(roi.ROINumber), str(roi.get("ROIName") or "").strip("\0 "))
        for roi in dataset.get("StructureSetROISequence") or []
    ]
    names = dict(stated)
    if len(names) < len(set(stated)):
        raise BadLabels(
            f"{name} gives one number to several of its {len(stated)} regions",
            expected="a ROI number of its own for each region",
            next_step="Export the contours again.",
        )
    contours: dict[int, list[tuple[NDArray[np.float64], bool]]] = defaultdict(list)
    others: dict[int, int] = defaultdict(int)
    for roi in dataset.get("ROIContourSequence") or []:
        number = int(roi.ReferencedROINumber)
        for contour in roi.get("ContourSequence") or []:
            kind = str(contour.get("ContourGeometricType") or "").strip().upper()
            points = _points(contour, name)
            if kind in _CLOSED and len(points) > 2:
                contours[number].append((points, kind == _EXCLUSIVE))
            else:
                others[number] += 1
    return [
        _Drawn(names.get(n) or f"ROI {n}", contours[n], others[n])
        for n in sorted(names.keys() | contours.keys() | others.keys())
    ]


def _points(contour: Any, name: str) -> NDArray[np.float64]:
    """Return the points (n, 3) of a contour in LPS millimetres."""
    stated = contour.get("ContourData")
    values = np.atleast_1d(np.array([] if stated is None else stated, np.float64))
    if values.size % 3 or not np.isfinite(values).all():
        raise BadLabels(
            f"a contour of {name} has {values.size} coordinates, "
            f"{np.count_nonzero(~np.isfinite(values))} of them no number",
            expected="three numbers for every point",
            next_step="Export the contours again.",
        )
    return values.reshape(-1, 3)


def _region_mask(
    region: _Drawn, grid: Grid, name: str, notes: _Notes
) -> NDArray[np.bool_]:
    flats = [flatten(points, grid, exclusive=xor) for points, xor in region.contours]
    uneven = sum(flat is None for flat in flats)
    if uneven:
        raise BadLabels(
            f"{uneven} of {len(flats)} contours of {region.name} in {name} do not lie "
            "in one plane of the scan",
            expected="contours drawn slice by slice on this very scan",
            next_step="Give the scan that the contours were drawn on.",
        )
    planes = planes_of_contours([flat for flat in flats if flat is not None])
    inside = [p for p in planes if 0 <= p.slice_number < grid.shape[p.axis]]
    kept, crowded = nearest_planes(inside)
    mask = np.zeros(grid.shape, dtype=bool)
    small = sum(_draw(plane, mask) for plane in kept)
    notes.add(_NO_AREA, region.name, region.others)
    notes.add(_OUTSIDE, region.name, _count(planes) - _count(inside))
    notes.add(_CROWDED, region.name, _count(crowded))
    notes.add(_TOO_SMALL, region.name, small)
    _note_places(kept, grid, region.name, notes)
    return mask


def _draw(plane: Plane, mask: NDArray[np.bool_]) -> int:
    """Fill the contours of a plane; returns how many of them reach no voxel."""
    slab = np.moveaxis(mask, plane.axis, 0)[plane.slice_number]
    shape = slab.shape[0], slab.shape[1]
    polygons = [flat.polygon for flat in plane.contours]
    exclusive = any(flat.exclusive for flat in plane.contours)
    slab |= (fill_polygons if exclusive else fill_contours)(polygons, shape)
    return sum(_misses(flat, shape) for flat in plane.contours)


def _misses(flat: Flat, shape: tuple[int, int]) -> bool:
    """Whether a contour holds no voxel's centre: too thin, or beyond the edge."""
    return not fill_polygons([flat.polygon], shape).any()


def _note_places(kept: Sequence[Plane], grid: Grid, name: str, notes: _Notes) -> None:
    beside = [plane for plane in kept if plane.beside > _BESIDE]
    furthest = max((p.beside * grid.spacing_mm[p.axis] for p in beside), default=0.0)
    notes.add(_MOVED, name, _count(beside), f" up to {furthest:.2g} mm away")
    for axis in range(3):
        numbers = sorted(p.slice_number for p in kept if p.axis == axis)
        if len(numbers) > 2 and np.median(np.diff(numbers)) >= 2:
            empty = numbers[-1] - numbers[0] + 1 - len(numbers)
            notes.add(_SPARSE, name, empty, " empty slices")


def _count(planes: Sequence[Plane]) -> int:
    return sum(len(plane.contours) for plane in planes)
