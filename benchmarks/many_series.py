"""Peak memory of checking and preparing many small series, and whether it grows.

Writes folders of small DICOM series, then runs ``scanlearn check`` and ``scanlearn
prepare`` on each in a process of its own and samples the resident memory of that
process and of its workers. Prints one JSON document.

Example: python benchmarks/many_series.py --scans 200 2000 --workers 2
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pydicom

from scanlearn.phantom.chest import make_chest
from scanlearn.phantom.dicom_out import dicom_uid, write_dicom_series

#: Coarse enough for 2,000 of them to be prepared within minutes.
SPACING_MM = (24.0, 12.0, 12.0)
_INTERVAL_S = 0.1


def write_many(folder: Path, scans: int, modality: str) -> None:
    """Write series that differ in patient, identifiers and one pixel."""
    phantom = make_chest(0, 1, spacing_mm=SPACING_MM)
    first = write_dicom_series(folder / "0000", phantom)
    slices = [pydicom.dcmread(path) for path in first]
    for image, path in zip(slices, first, strict=True):
        image.Modality = modality
        image.save_as(path, enforce_file_format=True)
    for number in range(1, scans):
        place = folder / f"{number:04d}"
        place.mkdir()
        for k, image in enumerate(slices):
            image.PatientID = f"many-{number}"
            image.StudyInstanceUID = dicom_uid("many study", number)
            image.SeriesInstanceUID = dicom_uid("many series", number)
            uid = dicom_uid("many slice", number, k)
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid
            pixels = image.pixel_array.copy()
            pixels.flat[number % pixels.size] ^= 1
            image.PixelData = pixels.tobytes()
            image.save_as(place / first[k].name, enforce_file_format=True)


def watched(arguments: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a command and return the peaks of its memory, in MB."""
    command = [sys.executable, "-m", "scanlearn", *arguments]
    parent = workers = largest = 0.0
    begin = time.monotonic()
    # A file, for a pipe that nobody empties would fill up and stop the command.
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=said
        ) as process,
    ):
        while process.poll() is None:
            try:
                me = psutil.Process(process.pid)
                sizes = [p.memory_info().rss / 1e6 for p in me.children(recursive=True)]
                parent = max(parent, me.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                break
            workers = max(workers, sum(sizes))
            largest = max(largest, max(sizes, default=0.0))
            time.sleep(_INTERVAL_S)
        if process.wait():
            said.seek(0)
            sys.exit(said.read().decode())
    return {
        "parent_mb": round(parent),
        "workers_mb": round(workers),
        "largest_worker_mb": round(largest),
        "seconds": round(time.monotonic() - begin),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--modality",
        choices=["CT", "MR"],
        default="CT",
        help="MR needs no lung mask and is quicker; there is as much to remember.",
    )
    options = parser.parse_args()
    result: dict[str, object] = {"spacing_mm": SPACING_MM, "workers": options.workers}
    result["modality"] = options.modality
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        environment = os.environ | {"SCANLEARN_HOME": str(base / "home")}
        for scans in options.scans:
            write_many(base / "in", scans, options.modality)
            check = ["check", str(base / "in"), "--json"]
            prepare = ["prepare", str(base / "in"), str(base / "cohort")]
            prepare += ["--spacing", "8", "--workers", str(options.workers)]
            result[str(scans)] = {
                "check": watched(check, environment),
                "prepare": watched(prepare, environment),
            }
            shutil.rmtree(base / "in")
            shutil.rmtree(base / "cohort")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
