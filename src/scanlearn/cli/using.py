"""The command that uses a trained run: predict."""

from pathlib import Path
from typing import Annotated

import typer

from scanlearn.cli.options import AsEvents, AsJson, OutDir, Uneven, cohort_folder
from scanlearn.cli.output import console, print_json, print_text, telling
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import RunFolder


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command()(predict)


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A fine-tuned run.")],
    source: Annotated[
        Path,
        typer.Argument(
            parser=cohort_folder,
            metavar="INPUT",
            help="A scan, a folder of scans, or a cohort.",
        ),
    ],
    out: OutDir,
    series: Annotated[str, typer.Option(help="Only this series.")] = "",
    overlap: Annotated[
        float, typer.Option(min=0, max=0.9, help="Of neighbouring windows.")
    ] = 0.25,
    uneven: Uneven = "refuse",
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Predict on scans and write the results in their source grids.

    Example: scanlearn predict runs/lungs ~/dicom/patient-7 --out predictions
    """
    folder = RunFolder(run)
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.predict.predicting import predict_scans

    with telling("predicting", as_lines=as_events) as tell:
        written = predict_scans(
            folder,
            source,
            out,
            series=series,
            overlap=overlap,
            on_uneven=uneven,
            tell=tell,
        )
        if as_events:
            tell(Finished(step=len(written)))
    if as_json:
        print_json([str(path) for path in written])
    elif not as_events:
        for path in written:
            print_text(str(path))
        console.print("Not for clinical use", style="dim")
