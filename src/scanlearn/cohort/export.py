"""A cohort's scans as OME-Zarr, for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.scans.files.ome_zarr import write_ome_zarr

Progress = Callable[[int, int], None]


def export_ome_zarr(
    cohort: Cohort, out: Path, *, progress: Progress | None = None
) -> list[Path]:
    """Write every usable scan as ``KEY.ome.zarr``; returns the images.

    Voxels are those of the cohort, on its grid and in its units. Like the cohort itself
    without ``private/``, nothing in the images tells who a patient is.

    Parameters
    ----------
    cohort
        What is exported.
    out
        Folder of the images; images of the same name in it are replaced.
    progress
        Called with scans done and scans in all.
    """
    written = []
    keys = cohort.keys()
    for number, key in enumerate(keys):
        path = Path(out) / f"{key}.ome.zarr"
        write_ome_zarr(path, cohort.scan(key))
        written.append(path)
        if progress is not None:
            progress(number + 1, len(keys))
    return written
