"""Labelled findings of a cohort's scans: spheres in volumes, boxes on radiographs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.label_files import keys_of_paths
from scanlearn.config.detection import DetectionConfig
from scanlearn.errors import BadCohort, BadLabels
from scanlearn.scans.boxes import box_centres, to_pixels, to_plane
from scanlearn.scans.formats import is_table
from scanlearn.scans.geometry import Grid
from scanlearn.scans.tables.label_tables import read_table
from scanlearn.tasks.detection.finding_set import (
    FindingSet,
    Kind,
    LabelledFindings,
    kind_in,
)
from scanlearn.tasks.detection.sphere_labels import check_spheres, spheres_of_masks

#: Columns of a table, in order, by what a finding is.
COLUMNS: dict[Kind, list[str]] = {
    "spheres": ["x", "y", "z", "diameter"],
    "boxes": ["x", "y", "width", "height"],
}

_SCANS: dict[Kind, str] = {"spheres": "volumes", "boxes": "radiographs"}

_MEANING: dict[Kind, str] = {
    "spheres": "spheres in patient millimetres (x, y, z, diameter)",
    "boxes": "boxes in pixels (x, y, width, height)",
}


def collect_findings(
    source: Path, cohort: Cohort, config: DetectionConfig | None = None
) -> FindingSet:
    """Find the labelled findings of a cohort's scans and check every one.

    Parameters
    ----------
    source
        A table with ``path`` and, for volumes, ``x,y,z,diameter`` in LPS millimetres,
        for radiographs ``x,y,width,height`` in pixels of the file: one row a finding
        and an empty one for a scan without. Or the ``inputs`` of a run. For volumes
        also a folder of masks (or one mask), of which every connected component becomes
        a finding of equal volume.
    cohort
        The cohort; what a finding is follows from its scans.

    Raises
    ------
    BadLabels
        If no row fits a scan, a finding lies outside its scan, there is none at all, or
        they are of the other kind.
    BadCohort
        If the cohort holds both volumes and radiographs.
    """
    source, kind = Path(source), finding_kind(cohort)
    if not source.exists():
        raise BadLabels(f"{source} does not exist", next_step="Check the path.")
    saved = [folder for folder in (source, source / "inputs") if kind_in(folder)]
    if saved:
        found = _of_run(saved[0], cohort, kind)
    elif is_table(source):
        found = _of_table(source, cohort, kind)
    elif kind == "spheres":
        found = spheres_of_masks(
            source,
            cohort,
            ignore_reference=config is not None and config.ignore_reference,
        )
    else:
        raise BadLabels(
            f"{source} is no table",
            expected="a CSV table of boxes: path, x, y, width, height",
            next_step="Write one row a box, or draw the boxes in napari.",
        )
    for item in found.items:
        if kind == "spheres":
            check_spheres(item, cohort.grid(item.scan))
        else:
            _check_boxes(item, cohort.source_grid(item.scan))
    if not found.count:
        raise BadLabels(
            f"{source} has no finding in any of its {len(found.items)} scans",
            expected="at least one; scans without are welcome beside it",
            next_step=f"Add rows with {', '.join(COLUMNS[kind])}.",
        )
    return replace(found, items=tuple(sorted(found.items, key=lambda i: i.scan)))


def finding_kind(cohort: Cohort) -> Kind:
    """Return what findings of a cohort are: boxes where its scans are radiographs.

    Raises
    ------
    BadCohort
        If it holds volumes, too.
    """
    flat = [record.is_radiograph for record in cohort.records()]
    if any(flat) and not all(flat):
        raise BadCohort(
            f"{cohort.path.name} holds {len(flat) - sum(flat)} volumes and {sum(flat)} "
            "radiographs: a detector sees one kind only",
            expected="a cohort of volumes, or one of radiographs",
            next_step="Exclude the others, or make a cohort of each",
        )
    return "boxes" if any(flat) else "spheres"


def _of_run(folder: Path, cohort: Cohort, kind: Kind) -> FindingSet:
    saved, known = FindingSet.load(folder), set(cohort.keys())
    if saved.kind != kind:
        raise _wrong_kind(str(folder), cohort, saved.kind, kind)
    items = tuple(item for item in saved.items if item.scan in known)
    if not items:
        raise BadLabels(
            f"none of the labelled scans in {folder} is in the cohort "
            f"{cohort.path.name}",
            expected="labels of this cohort's scans",
            next_step="Choose the cohort that the labels were made for.",
        )
    return FindingSet(kind, items)


def _of_table(source: Path, cohort: Cohort, kind: Kind) -> FindingSet:
    table = read_table(source, needed=list(COLUMNS.values()))
    if not set(COLUMNS[kind]) <= set(table.columns):
        other: Kind = "boxes" if kind == "spheres" else "spheres"
        raise _wrong_kind(source.name, cohort, other, kind)
    keys = keys_of_paths(table["path"], cohort)
    items, strangers = [], []
    for path, rows in table.groupby(table["path"].map(str), sort=False):
        key = keys.get(Path(str(path)))
        if key is None:
            strangers.append(Path(str(path)).name)
        else:
            items.append(_item(rows, key, cohort, kind))
    if not items:
        raise BadLabels(
            f"no row of {source.name} names a scan of the cohort {cohort.path.name} "
            f"({', '.join(strangers[:4])})",
            expected="the paths that the cohort was prepared from",
            next_step="Correct the column 'path', or choose another cohort.",
        )
    remarks = [f"{name} is no scan of the cohort: passed over" for name in strangers]
    return FindingSet(kind, tuple(items), tuple(remarks))


def _item(rows: pd.DataFrame, key: str, cohort: Cohort, kind: Kind) -> LabelledFindings:
    objects = rows[COLUMNS[kind]].dropna().to_numpy(float)
    if kind == "boxes":
        objects = to_plane(objects, cohort.source_grid(key))
    split = rows["split"].iloc[0] if "split" in rows else ""
    return LabelledFindings(key, cohort.record(key).patient, objects, split)


def _check_boxes(item: LabelledFindings, grid: Grid) -> None:
    """Refuse a box whose middle is not on the image: it was drawn on another size."""
    pixels = to_pixels(item.objects, grid)
    size = np.array([grid.shape[2], grid.shape[1]])
    middles = box_centres(pixels)
    outside = ((middles < -0.5) | (middles > size - 0.5)).any(axis=1)
    if outside.any():
        x, y, width, height = pixels[outside][0]
        raise BadLabels(
            f"A box of {item.scan} ({x:.0f}, {y:.0f}, {width:.0f} x {height:.0f}) has "
            f"its middle outside the image of {size[0]} x {size[1]} pixels",
            expected="x and y of the corner at the top left, width and height, in "
            "pixels of the file",
            next_step="Boxes drawn on a smaller or larger copy must be scaled first; "
            "x counts columns, y rows.",
        )


def _wrong_kind(name: str, cohort: Cohort, found: Kind, kind: Kind) -> BadLabels:
    return BadLabels(
        f"{name} has {_MEANING[found]}, but {cohort.path.name} holds {_SCANS[kind]}",
        expected=_MEANING[kind],
        next_step=f"Choose the table of the {_SCANS[kind]}, or a cohort of "
        f"{_SCANS[found]}.",
    )
