"""Commands about scans: sample, info, check, convert."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from scanlearn.cli.options import AsEvents, AsJson, Uneven
from scanlearn.cli.output import (
    console,
    print_event,
    print_json,
    print_progress,
    print_text,
    progress_bar,
)
from scanlearn.cohort.atlas.atlas_cache import kept_qualities
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.masks_among_scans import (
    beside_scans,
    is_label_map,
    is_told_label_map,
    owner_of,
)
from scanlearn.cohort.quality import checks
from scanlearn.cohort.quality.grouping import Remark, grouped
from scanlearn.cohort.quality.stored_voxels import stored_problems
from scanlearn.errors import BadScan
from scanlearn.files import write_text
from scanlearn.phantom.sample import write_sample
from scanlearn.runs.events import Finished
from scanlearn.scans.files.ome_zarr import write_ome_zarr
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.find import find_scans
from scanlearn.scans.formats import ZARR
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Problem, ScanEntry

#: Scans named for each atlas, the worst first.
_FITS_PRINTED = 12


_SEVERITIES = ("error", "warning", "note")


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
    found = _described(find_scans(path))
    if as_json:
        print_json(found)
        return
    several = Counter(entry["path"] for entry in found)
    for entry in found:
        size = " x ".join(map(str, entry["shape"]))
        spacing = " x ".join(f"{mm:g}" for mm in entry["spacing_mm"])
        print_text(f"{entry['path']}")
        if entry["label_map"]:
            of = f" of {entry['label_map_of']}" if entry["label_map_of"] else ""
            print_text(f"    label map{of}: give it to 'finetune --labels'")
        if entry["error"]:
            print_text(f"    cannot be read: {entry['error']}")
            continue
        print_text(
            f"    {entry['modality']}  {size}  {spacing} mm  {entry['orientation']}"
            f"  {entry['description']}".rstrip()
        )
        if several[entry["path"]] > 1 and entry["series_uid"]:
            print_text(f"    series {entry['series_uid']}")
        for text in entry["warnings"]:
            print_text(f"    warning: {text}")


def _described(entries: list[ScanEntry]) -> list[dict[str, Any]]:
    """Describe scans, and label maps with the scan that each belongs to."""
    beside = beside_scans(entries)
    found = [
        _entry(entry, beside_scan=shared)
        for entry, shared in zip(entries, beside, strict=True)
    ]
    told = list(zip(entries, found, strict=True))
    scans = [entry for entry, about in told if not about["label_map"]]
    for entry, about in told:
        about["label_map_of"] = owner_of(entry, scans) if about["label_map"] else ""
    return found


def _entry(entry: ScanEntry, *, beside_scan: bool) -> dict[str, Any]:
    """Describe a scan; its intensity range needs the voxels, so they are read."""
    lowest = highest = None
    is_mask = is_told_label_map(entry)
    acquisition, problems, error = entry.acquisition, entry.problems, entry.error
    if not error:
        try:
            scan = read_scan(entry, on_uneven="resample")
            lowest, highest = float(scan.voxels.min()), float(scan.voxels.max())
            # The voxels may tell more than the header, such as a CT in NIfTI.
            acquisition, problems = scan.acquisition, scan.problems
            is_mask |= is_label_map(scan, entry.kind, beside_scan=beside_scan)
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
        # Which volume or page the entry is, and how many may be chosen from.
        "volume": entry.volume,
        "volumes": entry.shape[3] if len(entry.shape) > 3 else 1,
        "spacing_mm": [round(mm, 6) for mm in entry.spacing_mm],
        "orientation": entry.orientation,
        "units": acquisition.units,
        "intensity_range": None if lowest is None else [lowest, highest],
        "warnings": [p.text for p in problems if p.severity != "note"],
        "label_map": is_mask,
        "error": "" if is_mask else error,
    }


def check(
    folder: Annotated[Path, typer.Argument(help="A folder of scans, or a cohort.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the JSON document into this file.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; 0 for this one.")
    ] = None,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Check scans before anything is trained on them.

    Example: scanlearn check ~/dicom
    """
    if (folder / "cohort.yaml").is_file():
        rows = _rows_of_cohort(folder, as_events=as_events)
    elif as_events:
        found = checks.check(folder, progress=print_progress, workers=workers)
        rows = checks.to_json(found)
    else:
        with progress_bar() as bar:
            task = bar.add_task("checking", total=None, curve="")
            found = checks.check(
                folder,
                progress=lambda done, total, _: bar.update(
                    task, completed=done, total=total
                ),
                workers=workers,
            )
            rows = checks.to_json(found)
    if out is not None:
        write_text(out, json.dumps(rows))
    if as_events:
        print_event(Finished(step=len(rows)))
    elif as_json:
        print_json(rows)
    else:
        _print_checks(rows)


def _rows_of_cohort(folder: Path, *, as_events: bool) -> list[dict[str, Any]]:
    cohort = Cohort(folder)
    fits = kept_qualities(cohort.layout, cohort.records())
    damage = _damage(cohort, as_events=as_events)
    rows = []
    for key, remarks in checks.check_cohort(cohort).items():
        problems = (damage[key], *remarks) if key in damage else remarks
        rows.append(
            {
                "scan": key,
                "severity": problems[0].severity if problems else "ok",
                "problems": [asdict(problem) for problem in problems],
                "excluded": cohort.record(key).excluded,
                "fits": [fit.to_dict() for fit in fits.get(key, [])],
            }
        )
    return rows


def _damage(cohort: Cohort, *, as_events: bool) -> dict[str, Problem]:
    if as_events:
        return stored_problems(cohort, progress=print_progress)
    with progress_bar() as bar:
        task = bar.add_task("reading", total=None, curve="")
        return stored_problems(
            cohort,
            progress=lambda done, total, _: bar.update(
                task, completed=done, total=total
            ),
        )


def _print_checks(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row.get("excluded"):
            print_text(f"excluded {_name(row)}: {row['excluded']}")
    for severity, action, remarks in _alike(rows):
        for line in grouped(remarks):
            print_text(f"{severity:8} {line}")
            if action:
                print_text(f"         {action}")
    _print_fits(rows)
    counts = Counter(row["severity"] for row in rows)
    told = [
        f"{len(rows)} scan{'s' * (len(rows) != 1)}",
        f"{counts['error']} with errors",
        f"{counts['warning']} with warnings",
        f"{counts['ok']} without remarks",
    ]
    print_text(" · ".join(told))


def _name(row: dict[str, Any]) -> str:
    return str(row.get("scan") or row["source"])


def _alike(rows: list[dict[str, Any]]) -> list[tuple[str, str, list[Remark]]]:
    """Return the remarks of all scans by severity, the worst first, and by advice."""
    found: dict[tuple[str, str], list[Remark]] = {}
    for row in rows:
        for problem in row["problems"]:
            kind = problem["severity"], problem["action"]
            found.setdefault(kind, []).append(Remark(_name(row), problem["text"]))
    return [
        (*kind, found[kind])
        for kind in sorted(found, key=lambda kind: _SEVERITIES.index(kind[0]))
    ]


def _print_fits(rows: list[dict[str, Any]]) -> None:
    """Print how well each atlas lies in the scans, the worst first."""
    by_atlas: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for row in rows:
        name = _name(row)
        for fit in row["fits"]:
            if fit["quality"]:
                title = f"{fit['atlas']} atlas of the {fit['kind']}"
                by_atlas.setdefault(title, []).append((name, fit))
    for title, fits in by_atlas.items():
        fits.sort(key=lambda one: (one[1]["usable"], one[1]["quality"]["dice"]))
        print_text(f"{title}: overlap, rotation, stretch, landmarks that miss it")
        for name, fit in fits[:_FITS_PRINTED]:
            quality = fit["quality"]
            print_text(
                f"    {quality['dice']:.2f}  {quality['rotation_degrees']:4.1f}°  "
                f"{min(quality['scales']):.2f}-{max(quality['scales']):.2f}  "
                f"{quality['missed']:4.0%}  {name}"
                + ("" if fit["usable"] else "  LEFT OUT")
            )
        if len(fits) > _FITS_PRINTED:
            print_text(f"    and {len(fits) - _FITS_PRINTED} that fit better (--json)")


def convert(
    scan: Annotated[Path, typer.Argument(help="A file or folder.")],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Ends in .nii.gz or .ome.zarr.")
    ],
    series: Annotated[str, typer.Option(help="Which series of a folder.")] = "",
    volume: Annotated[
        int | None, typer.Option(min=0, help="Which volume of a 4D file.")
    ] = None,
    uneven: Uneven = "refuse",
) -> None:
    """Write a scan's exact voxels and geometry as NIfTI or OME-Zarr.

    NIfTI keeps the axes of the source; OME-Zarr has them turned to head, back, left.

    Example: scanlearn convert ~/dicom/patient-7 patient-7.nii.gz
    """
    read = read_scan(scan, series=series, volume=volume, on_uneven=uneven)
    for problem in read.problems:
        console.print(f"{problem.severity}: {problem.text}", markup=False)
    if ZARR.has(out):
        write_ome_zarr(out, read)
    else:
        write_nifti(out, read.voxels, read.grid)
    print_text(str(out))
