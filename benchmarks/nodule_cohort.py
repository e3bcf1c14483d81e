"""The phantoms of ``nodules.py``: chests with nodules of known place and size."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.files import write_text
from scanlearn.phantom import make_chest
from scanlearn.phantom.tables import NODULES, nodule_rows, write_table
from scanlearn.scans.files.write_nifti import write_nifti

#: Thick slices as in many clinics; the cohort is prepared at 2 mm.
SCAN_MM = (2.5, 1.6, 1.6)
SPACING_MM = 2.0
_SEED = 611


def make_cohort(folder: Path, patients: Iterable[int], *, name: str = "cohort") -> Path:
    """Make or complete a prepared cohort of phantoms; what is there is kept."""
    (folder / "scans").mkdir(parents=True, exist_ok=True)
    scans = [(str(_make_scan(folder / "scans", number)),) for number in patients]
    prepare(
        write_table(folder / f"{name}.csv", ("path",), scans),
        folder / name,
        PrepareConfig(spacing_mm=SPACING_MM, workers=0),
    )
    return folder / name


def write_labels(folder: Path, numbers: list[int], table: Path) -> Path:
    """Write the table of the nodules of some patients, as a reader would give it."""
    rows = []
    for number in numbers:
        rows += json.loads(_rows_file(folder / "scans", number).read_text("utf-8"))
    named = [(str(folder / "scans" / row[0]), *row[1:]) for row in rows]
    return write_table(table, NODULES, named)


def _make_scan(folder: Path, number: int) -> Path:
    scan = folder.absolute() / f"PHANTOM-{number:04d}.nii.gz"
    known = _rows_file(folder, number)
    if known.exists():
        return scan
    phantom = make_chest(_SEED, number, spacing_mm=SCAN_MM)
    write_nifti(scan, phantom.scan.voxels, phantom.scan.grid)
    write_text(known, json.dumps(nodule_rows(scan.name, phantom)))
    return scan


def _rows_file(folder: Path, number: int) -> Path:
    return folder / f"PHANTOM-{number:04d}.json"
