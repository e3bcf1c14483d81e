"""The command that encodes whole scans densely: features."""

from pathlib import Path
from typing import Annotated

import typer

from scanlearn.cli.options import AsEvents, AsJson, OutDir, Series, Uneven
from scanlearn.cli.output import print_files, telling
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import RunFolder


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command()(features)


def features(
    run: Annotated[Path, typer.Argument(help="A pre-training run.")],
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A scan, or a folder of scans.")
    ],
    out: OutDir,
    stride_mm: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Distance of neighbouring patches; by default a quarter of a patch, "
            "at least 8 mm.",
        ),
    ] = None,
    series: Series = "",
    uneven: Uneven = "refuse",
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Write the features of the patches all over scans, NAME_features.npz of each.

    Holds 'vectors' (n, d) of unit length, their 'cells' (n, 3) on a coarse grid, and
    that grid's 'shape' and 'affine' to LPS millimetres.

    Example: scanlearn features runs/drasclr ~/dicom/patient-7 --out features
    """
    folder = RunFolder(run)
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.prediction.representation.feature_files import write_features

    with telling("encoding", as_lines=as_events) as tell:
        written = write_features(
            folder,
            source,
            out,
            stride_mm=stride_mm,
            series=series,
            on_uneven=uneven,
            tell=tell,
        )
        if as_events:
            tell(Finished(step=len(written)))
    print_files(written, as_json=as_json, as_events=as_events)
