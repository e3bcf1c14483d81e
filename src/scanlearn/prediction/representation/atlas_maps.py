"""Where an atlas and its landmarks lie in a scan, as files to look at."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.frames import frame_of
from scanlearn.anatomy.label_mask import LabelMask, share_in_boxes
from scanlearn.anatomy.landmarks import Atlas
from scanlearn.anatomy.lungs import lung_mask
from scanlearn.anatomy.placement import Placement
from scanlearn.cohort.atlas.atlas_on_scans import place_scan, scan_labels
from scanlearn.cohort.layout import Source
from scanlearn.cohort.preparation.plan import source_of
from scanlearn.cohort.ready_scan import ReadyScan
from scanlearn.cohort.working import WorkingCohorts, WorkingScan
from scanlearn.encoders.encoder_file import read_patch_card
from scanlearn.files import write_text
from scanlearn.prediction.each_scan import Tell, tell_problems
from scanlearn.prediction.ready_volume import place_ready
from scanlearn.prediction.sources import named_scans
from scanlearn.runs.events import Message, Step
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.geometry import Grid
from scanlearn.scans.read import OnUneven, read_scan
from scanlearn.scans.scan import Scan
from scanlearn.scans.tables.label_tables import write_table

#: Side of the voxels on which the atlas is drawn.
_DRAWN_MM = 2.0


def locate_scans(
    atlas: Atlas,
    source: Path,
    out: Path,
    *,
    cohorts: WorkingCohorts | None = None,
    series: str = "",
    on_uneven: OnUneven = "refuse",
    tell: Tell = lambda event: None,
) -> list[Path]:
    """Carry an atlas to scans; returns the summaries written.

    For each scan ``NAME_locations.json`` (how it was placed and how well),
    ``NAME_landmarks.csv`` (x, y, z in LPS mm, and the share of lung in each patch) and
    ``NAME_atlas.nii.gz`` (the atlas's shape in the patient).

    Parameters
    ----------
    atlas
        That of an encoder, or of a training that has not begun.
    source
        A scan or a folder of scans.
    out
        Folder to write to.
    cohorts
        Where a scan is one of theirs, it is placed as a training on them places it:
        with the lung mask that the cohort keeps.
    series
        Only the series with this UID.
    on_uneven
        As in :func:`scanlearn.scans.read.read_scan`.
    tell
        Given an event for every scan and remark.

    Raises
    ------
    BadScan
        If there is no such scan.
    """
    entries = named_scans(source, series)
    prepared = {} if cohorts is None else _by_source(cohorts)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (name, entry) in enumerate(entries, start=1):
        own = prepared.get(source_of(entry))
        if cohorts is not None and own is not None:
            placed = place_scan(cohorts, own, atlas)
            labels = scan_labels(cohorts, own, "lungs")
        else:
            scan = read_scan(entry, on_uneven=on_uneven)
            tell_problems(scan, tell)
            placed, labels = _placed(scan, atlas)
        for problem in placed.problems:
            tell(Message(text=f"{name}: {problem}", severity="warning"))
        written.append(_write(out, name, atlas, placed, labels))
        tell(Step(step=number, values={"scans": len(entries)}))
    return written


def atlas_of_run(run: Path) -> Atlas:
    """Return the atlas that travels with a run's encoder."""
    return read_patch_card(run).located()


def _by_source(cohorts: WorkingCohorts) -> dict[Source, WorkingScan]:
    sources = [cohort.sources() for cohort in cohorts.cohorts]
    return {
        sources[scan.cohort][scan.key]: scan
        for scan in cohorts.scans
        if scan.key in sources[scan.cohort]
    }


def _placed(scan: Scan, atlas: Atlas) -> tuple[Placement, LabelMask | None]:
    straight = scan.canonical()
    units = scan.acquisition.units
    lungs = lung_mask(straight) if units == "HU" else None
    frame = frame_of(straight, lungs)
    ready = ReadyScan(straight.voxels, straight.grid, lungs, frame, ())
    found = place_ready(ready, units, atlas)
    return found, None if lungs is None else LabelMask(lungs.mask, lungs.grid)


def _write(
    out: Path, name: str, atlas: Atlas, placed: Placement, labels: LabelMask | None
) -> Path:
    points = placed.to_patient(atlas.landmarks)
    shares = np.ones(len(points))
    if labels is not None:
        shares = share_in_boxes(labels, points, atlas.patch_mm)
    rows = [
        {
            "landmark": number,
            **{
                axis: round(float(mm), 2) for axis, mm in zip("xyz", point, strict=True)
            },
            "inside": round(float(share), 3),
        }
        for number, (point, share) in enumerate(zip(points, shares, strict=True))
    ]
    write_table(out / f"{name}_landmarks.csv", rows)
    if atlas.labels is not None:
        drawn = drawn_atlas(atlas.labels, placed.matrix)
        write_nifti(out / f"{name}_atlas.nii.gz", drawn.mask, drawn.grid)
    about = {"patch_mm": atlas.patch_mm, "atlas": atlas.source, **placed.to_dict()}
    path = out / f"{name}_locations.json"
    write_text(path, json.dumps(about, indent=1))
    return path


def drawn_atlas(labels: LabelMask, matrix: NDArray[np.float64]) -> LabelMask:
    """Return the shape of an atlas as a map (4, 4) lays it into a patient."""
    corners = np.array(list(itertools.product(*zip(*labels.bounds_mm(), strict=True))))
    ends = corners @ matrix[:3, :3].T + matrix[:3, 3]
    low, high = ends.min(axis=0) - _DRAWN_MM, ends.max(axis=0) + _DRAWN_MM
    size = np.ceil((high - low) / _DRAWN_MM).astype(int)[::-1] + 1
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = _DRAWN_MM
    affine[:3, 3] = low
    affine[3, 3] = 1
    grid = Grid((int(size[0]), int(size[1]), int(size[2])), affine)
    points = grid.to_patient(np.moveaxis(np.indices(grid.shape), 0, -1))
    inverse = np.linalg.inv(matrix)
    there = points @ inverse[:3, :3].T + inverse[:3, 3]
    return LabelMask(labels.at(there), grid)
