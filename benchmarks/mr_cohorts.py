"""The two MR cohorts of ``mr_segmentation.py``, prepared as any user's scans are.

Hippocampus: Medical Segmentation Decathlon, task 4, folders ``images`` and ``labels``.
Heart: ACDC as HDF5 (``image`` and ``label``, z y x), end-diastole and end-systole of a
patient; its spacing was lost and is taken for 10 x 1.5 x 1.5 mm. Needs h5py.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.files import write_text
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.geometry import Grid

_HEART_MM = (10.0, 1.5, 1.5)


def hippocampus(data: Path, work: Path) -> tuple[Path, Path]:
    """Return the prepared cohort and the folder of label maps."""
    cohort = work / "hippocampus"
    prepare(data / "hippocampus" / "images", cohort, PrepareConfig(workers=0))
    return cohort, data / "hippocampus" / "labels"


def heart(data: Path, work: Path) -> tuple[Path, Path]:
    """Return the prepared cohort and the folder of label maps, patients by a table."""
    folder, cohort = work / "heart_files", work / "heart"
    table = folder / "scans.csv"
    if not table.exists():
        _unpack(data / "cardiac", folder)
    prepare(table, cohort, PrepareConfig(workers=0))
    return cohort, folder / "labels"


def _unpack(source: Path, folder: Path) -> None:
    import h5py

    with (source / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = ["path,patient"]
    for row in rows:
        name = row["volume"]
        with h5py.File(source / "volumes" / f"{name}.h5") as file:
            image, label = np.array(file["image"]), np.array(file["label"])
        affine = np.eye(4)
        affine[:3, :3] = np.fliplr(np.diag(_HEART_MM[::-1]))
        grid = Grid(image.shape, affine)
        write_nifti(folder / "images" / f"{name}.nii.gz", image, grid)
        write_nifti(folder / "labels" / f"{name}.nii.gz", label, grid)
        lines.append(f"images/{name}.nii.gz,{row['patient']}")
    write_text(folder / "scans.csv", "\n".join(lines) + "\n")
