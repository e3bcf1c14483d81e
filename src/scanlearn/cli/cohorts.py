"""Commands that make cohorts, leave scans out and take cohorts elsewhere."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scanlearn.cli.options import AsEvents, AsJson, Uneven, cohort_folder, own_folder
from scanlearn.cli.output import (
    console,
    print_event,
    print_json,
    print_progress,
    print_text,
    progress_bar,
)
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.exclusions import read_exclusions
from scanlearn.cohort.export import export_ome_zarr
from scanlearn.cohort.labels.masks_among_scans import label_maps_told
from scanlearn.cohort.preparation.dask_cluster import trust_in
from scanlearn.cohort.preparation.prepare import PrepareReport
from scanlearn.cohort.preparation.prepare import prepare as prepare_scans
from scanlearn.cohort.quality.grouping import Remark, grouped
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadConfig
from scanlearn.runs.events import Finished, Message

#: How remarks begin that are not about a scan of the cohort.
_FAILED = "not prepared: "
_WHOLE = "this cohort: "


def register(application: typer.Typer) -> None:
    """Add the commands."""
    for command in (prepare, export_cohort, exclude, include):
        application.command()(command)


def prepare(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A folder, a file or a table.")
    ],
    cohort: Annotated[
        Path,
        typer.Argument(
            parser=own_folder, metavar="COHORT", help="Folder to make or extend."
        ),
    ],
    spacing: Annotated[
        float | None,
        typer.Option(help="Voxel size in mm; 1 for CT if not given."),
    ] = None,
    crop: Annotated[
        Literal["none", "body", "lungs"],
        typer.Option(help="Keep only the box around it, with 20 mm to spare."),
    ] = "none",
    radiograph_size: Annotated[
        int, typer.Option(min=8, help="Pixels along the long side of a radiograph.")
    ] = PrepareConfig().radiograph_size,
    uneven: Uneven = "refuse",
    patient_from: Annotated[
        str,
        typer.Option(
            metavar="PATTERN",
            help="Where the patients are told, if not in the files: a column of the "
            "table, or a pattern of file names such as '{patient}_*' or "
            "'{patient}/*'.",
        ),
    ] = "",
    exclusions: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="Scans to leave out: source,series,volume,reason."
        ),
    ] = None,
    lung_masks: Annotated[
        Path | None,
        typer.Option(help="Folder of lung masks to take instead of computed ones."),
    ] = None,
    store: Annotated[
        Literal["npy", "blosc2"],
        typer.Option(help="npy reads fastest; blosc2 halves the size on disk."),
    ] = "npy",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; 0 for this one.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask cluster, used instead of processes here. It runs code as its "
            "owner: take one that only you can reach, or tls://.",
        ),
    ] = None,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Make a cohort of scans, or extend one.

    Example: scanlearn prepare ~/dicom ~/cohorts/chest --spacing 1
    """
    config = PrepareConfig(
        spacing_mm=spacing,
        radiograph_size=radiograph_size,
        crop=crop,
        on_uneven=uneven,
        patient_from=patient_from,
        workers=workers,
        store=store,
    )
    left_out = None if exclusions is None else read_exclusions(exclusions)
    if scheduler is not None:
        console.print(trust_in(scheduler), markup=False, soft_wrap=True)
    if as_events:
        report = prepare_scans(
            source,
            cohort,
            config,
            exclusions=left_out,
            lung_masks=lung_masks,
            progress=print_progress,
            scheduler=scheduler,
        )
        for text in (*_failures(report), *_remarks(report)):
            print_event(Message(text=text, severity="warning"))
        print_event(Finished(step=len(report.prepared) + len(report.kept)))
        return
    with progress_bar() as bar:
        task = bar.add_task("preparing", total=None, curve="")
        report = prepare_scans(
            source,
            cohort,
            config,
            exclusions=left_out,
            lung_masks=lung_masks,
            progress=lambda done, total, _: bar.update(
                task, completed=done, total=total
            ),
            scheduler=scheduler,
        )
    failures = [f"{_FAILED}{text}" for text in grouped(_told_of_failed(report))]
    for text in (*failures, *_remarks(report)):
        console.print(text, markup=False, soft_wrap=True)
    if as_json:
        print_json(
            {
                "cohort": str(report.cohort),
                "prepared": report.prepared,
                "kept": report.kept,
                "failed": [
                    {"source": str(f.source), "error": f.error} for f in report.failed
                ],
                "label_maps": [
                    {"path": str(path), "scan": scan}
                    for path, scan in report.label_maps.items()
                ],
                "warnings": report.warnings,
                "remarks": report.remarks,
                "excluded": report.excluded,
            }
        )
        return
    print_text(
        f"{report.cohort}: {len(report.prepared)} prepared, {len(report.kept)} kept, "
        f"{len(report.failed)} failed, {len(report.excluded)} excluded"
    )


def export_cohort(
    cohort: Annotated[
        Path, typer.Argument(parser=cohort_folder, metavar="COHORT", help="The cohort.")
    ],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    as_json: AsJson = False,
) -> None:
    """Write a cohort's scans as OME-Zarr, for other programs.

    Example: scanlearn export-cohort ~/cohorts/chest chest-ome-zarr
    """
    with progress_bar() as bar:
        task = bar.add_task("exporting", total=None, curve="")
        written = export_ome_zarr(
            Cohort(cohort),
            out,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json([str(path) for path in written])
        return
    print_text(f"{out}: {len(written)} scans")


def exclude(
    cohort: Annotated[Path, typer.Argument(help="A prepared cohort.")],
    scans: Annotated[list[str], typer.Argument(metavar="SCAN…", help="Keys.")],
    reason: Annotated[str, typer.Option(help="Why; written into the catalogue.")],
) -> None:
    """Leave scans of a cohort out of all trainings, with the reason.

    Example: scanlearn exclude cohort P-3f9a0c1b2d-77c1aa --reason "metal artefacts"
    """
    if not reason.strip():
        raise BadConfig("no reason was given", next_step="Say why with --reason.")
    _amend(cohort, scans, reason.strip())


def include(
    cohort: Annotated[Path, typer.Argument(help="A prepared cohort.")],
    scans: Annotated[list[str], typer.Argument(metavar="SCAN…", help="Keys.")],
) -> None:
    """Use scans of a cohort again that were left out.

    Example: scanlearn include cohort P-3f9a0c1b2d-77c1aa
    """
    _amend(cohort, scans, "")


def _amend(path: Path, keys: list[str], reason: str) -> None:
    cohort = Cohort(path)
    cohort.amend({key: {"excluded": reason} for key in keys})
    left_out = len(cohort.keys(excluded=True)) - len(cohort)
    print_text(f"{path}: {len(cohort)} scans used, {left_out} excluded")


def _failures(report: PrepareReport) -> list[str]:
    """Return a line a scan, which the docks count."""
    return [f"{_FAILED}{one.scan}: {one.text}" for one in _told_of_failed(report)]


def _told_of_failed(report: PrepareReport) -> list[Remark]:
    # Most errors name their file themselves.
    return [
        Remark(str(f.source), f.error.removeprefix(f"{f.source}: "))
        for f in report.failed
    ]


def _remarks(report: PrepareReport) -> list[str]:
    warned = [
        Remark(key, text) for key, texts in report.warnings.items() for text in texts
    ]
    masks = label_maps_told(report.label_maps)
    whole = (*report.remarks, *([masks] if masks else []))
    return [*grouped(warned), *(f"{_WHOLE}{text}" for text in whole)]
