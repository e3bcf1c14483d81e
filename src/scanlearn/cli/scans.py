"""Commands about scans: sample, info, check, convert."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from scanlearn.cli.options import AsJson
from scanlearn.cli.output import console, print_json, print_text, progress_bar
from scanlearn.cohort import checks
from scanlearn.errors import BadScan
from scanlearn.phantom.sample import write_sample
from scanlearn.scans.find import find_scans
from scanlearn.scans.ome_zarr import ZARR_SUFFIX, write_ome_zarr
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import ScanEntry
from scanlearn.scans.write_nifti import write_nifti


def register(application: typer.Typer) -> None:
    """Add the commands."""
    for command in (sample, info, check, convert):
        application.command()(command)


def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Must be empty.")],
    scans: Annotated[int, typer.Option(min=1, help="How many patients.")] = 8,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    kind: Annotated[Literal["chest-ct", "radiograph"], typer.Option()] = "chest-ct",
) -> None:
    """Write the sample cohort as DICOM and NIfTI with ground truth.

    Example: scanlearn sample sample-scans --scans 8
    """
    with progress_bar() as bar:
        task = bar.add_task("making phantoms", total=scans, curve="")
        written = write_sample(
            folder,
            scans=scans,
            seed=seed,
            kind=kind,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    print_text(str(written))


def info(
    path: Annotated[Path, typer.Argument(help="A file or folder.")],
    as_json: AsJson = False,
) -> None:
    """Say what is in a file or folder: one entry a scan.

    Example: scanlearn info ~/dicom --json
    """
    found = [_entry(entry) for entry in find_scans(path)]
    if as_json:
        print_json(found)
        return
    for entry in found:
        size = " x ".join(map(str, entry["shape"]))
        spacing = " x ".join(f"{mm:g}" for mm in entry["spacing_mm"])
        print_text(f"{entry['path']}")
        if entry["error"]:
            print_text(f"    cannot be read: {entry['error']}")
            continue
        print_text(
            f"    {entry['modality']}  {size}  {spacing} mm  {entry['orientation']}"
            f"  {entry['description']}".rstrip()
        )
        for text in entry["warnings"]:
            print_text(f"    warning: {text}")


def _entry(entry: ScanEntry) -> dict[str, Any]:
    """Describe a scan; its intensity range needs the voxels, so they are read."""
    lowest = highest = None
    acquisition, problems, error = entry.acquisition, entry.problems, entry.error
    if not error:
        try:
            scan = read_scan(entry, on_uneven="resample")
            lowest, highest = float(scan.voxels.min()), float(scan.voxels.max())
            # The voxels may tell more than the header, such as a CT in NIfTI.
            acquisition, problems = scan.acquisition, scan.problems
        except BadScan as problem:
            error = str(problem)
    return {
        "path": str(entry.path),
        "kind": entry.kind,
        "modality": acquisition.modality,
        "description": acquisition.description,
        "series_uid": entry.series_uid,
        "files": len(entry.files),
        "shape": list(entry.shape),
        "spacing_mm": [round(mm, 6) for mm in entry.spacing_mm],
        "orientation": entry.orientation,
        "units": acquisition.units,
        "intensity_range": None if lowest is None else [lowest, highest],
        "warnings": [p.text for p in problems if p.severity != "note"],
        "error": error,
    }


def check(
    folder: Annotated[Path, typer.Argument(help="A folder of scans.")],
    as_json: AsJson = False,
) -> None:
    """Check scans before anything is trained on them.

    Example: scanlearn check ~/dicom
    """
    with progress_bar() as bar:
        task = bar.add_task("checking", total=None, curve="")
        rows = checks.check(
            folder,
            progress=lambda done, total, *_: bar.update(
                task, completed=done, total=total
            ),
        )
    if as_json:
        print_json(checks.to_json(rows))
        return
    for row in rows:
        for problem in row.problems:
            print_text(f"{problem.severity:8} {row.source}: {problem.text}")
            if problem.action:
                print_text(f"         {problem.action}")
    clean = sum(not row.problems for row in rows)
    print_text(f"{len(rows)} scans, {clean} without remarks")


def convert(
    scan: Annotated[Path, typer.Argument(help="A file or folder.")],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Ends in .nii.gz or .ome.zarr.")
    ],
    series: Annotated[str, typer.Option(help="Which series of a folder.")] = "",
    volume: Annotated[
        int | None, typer.Option(min=0, help="Which volume of a 4D file.")
    ] = None,
) -> None:
    """Write a scan's exact voxels and geometry as NIfTI or OME-Zarr.

    NIfTI keeps the axes of the source; OME-Zarr has them turned to head, back, left.

    Example: scanlearn convert ~/dicom/patient-7 patient-7.nii.gz
    """
    read = read_scan(scan, series=series, volume=volume)
    for problem in read.problems:
        console.print(f"{problem.severity}: {problem.text}", markup=False)
    if out.suffix.lower() == ZARR_SUFFIX:
        write_ome_zarr(out, read)
    else:
        write_nifti(out, read.voxels, read.grid)
    print_text(str(out))
