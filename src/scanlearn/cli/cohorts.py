"""Commands that make cohorts and take them elsewhere: prepare, export."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scanlearn.cli.options import AsEvents, AsJson
from scanlearn.cli.output import (
    console,
    print_event,
    print_json,
    print_text,
    progress_bar,
)
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.export import export_ome_zarr
from scanlearn.cohort.prepare import PrepareReport
from scanlearn.cohort.prepare import prepare as prepare_scans
from scanlearn.config.prepare import PrepareConfig
from scanlearn.runs.events import Finished, Message, Step


def register(application: typer.Typer) -> None:
    """Add the commands."""
    application.command()(prepare)
    application.command()(export)


def prepare(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A folder, a file or a table.")
    ],
    cohort: Annotated[Path, typer.Argument(help="Folder to make or extend.")],
    spacing: Annotated[
        float | None,
        typer.Option(help="Voxel size in mm; 1 for CT if not given."),
    ] = None,
    crop: Annotated[Literal["none", "body", "lungs"], typer.Option()] = "none",
    uneven: Annotated[
        Literal["refuse", "resample"],
        typer.Option(help="What to do with unevenly spaced slices."),
    ] = "refuse",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; 0 for this one.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler.")
    ] = None,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Make a cohort of scans, or extend one.

    Example: scanlearn prepare ~/dicom ~/cohorts/chest --spacing 1
    """
    config = PrepareConfig(
        spacing_mm=spacing, crop=crop, on_uneven=uneven, workers=workers
    )
    if as_events:
        report = prepare_scans(
            source, cohort, config, progress=_tell, scheduler=scheduler
        )
        for text in _remarks(report):
            print_event(Message(text=text, severity="warning"))
        print_event(Finished(step=len(report.prepared) + len(report.kept)))
        return
    with progress_bar() as bar:
        task = bar.add_task("preparing", total=None, curve="")
        report = prepare_scans(
            source,
            cohort,
            config,
            progress=lambda done, total, _: bar.update(
                task, completed=done, total=total
            ),
            scheduler=scheduler,
        )
    for text in _remarks(report):
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
                "warnings": report.warnings,
            }
        )
        return
    print_text(
        f"{report.cohort}: {len(report.prepared)} prepared, {len(report.kept)} kept, "
        f"{len(report.failed)} failed"
    )


def export(
    cohort: Annotated[Path, typer.Argument(help="The cohort.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    as_json: AsJson = False,
) -> None:
    """Write a cohort's scans as OME-Zarr, for other programs.

    Example: scanlearn export ~/cohorts/chest chest-ome-zarr
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


def _tell(done: int, total: int, message: str) -> None:
    print_event(Step(step=done, values={"total": float(total)}))


def _remarks(report: PrepareReport) -> list[str]:
    failed = [f"not prepared: {f.source}: {f.error}" for f in report.failed]
    warned = [
        f"{key}: {text}" for key, texts in report.warnings.items() for text in texts
    ]
    return failed + warned
