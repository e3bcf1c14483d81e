"""Commands that use a trained run: predict, export."""

from pathlib import Path
from typing import Annotated

import typer

from scanlearn.cli.options import (
    AsEvents,
    AsJson,
    OutDir,
    Series,
    Source,
    Uneven,
)
from scanlearn.cli.output import (
    console,
    print_files,
    telling,
)
from scanlearn.files import sweep
from scanlearn.runs.events import Finished, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.tables.results import DISCLAIMER
from scanlearn.tasks.registry import task_of

DicomSeg = Annotated[
    bool, typer.Option("--dicom-seg", help="A DICOM segmentation of the series.")
]
Figures = Annotated[
    bool, typer.Option("--figures", help="PNG pictures of a few slices.")
]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    for command in (predict, export):
        application.command()(command)


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A fine-tuned run.")],
    source: Source,
    out: OutDir,
    series: Series = "",
    overlap: Annotated[
        float, typer.Option(min=0, max=0.9, help="Of neighbouring windows.")
    ] = 0.25,
    views: Annotated[
        int,
        typer.Option(
            min=1,
            max=32,
            help="Ways of looking at each scan, slightly turned and stretched: their "
            "mean counts, and volumes get a standard deviation. Each takes as long.",
        ),
    ] = 1,
    covariates: Annotated[
        str,
        typer.Option(
            metavar="TABLE",
            help="Clinical numbers of an outcome that was learned with them: a table "
            "with path and their columns, or such as age=63,sex=1 for every scan.",
        ),
    ] = "",
    uneven: Uneven = "refuse",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on: results of this run that are there already stay."
        ),
    ] = False,
    dicom_seg: DicomSeg = False,
    figures: Figures = False,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Predict on scans and write the results in their source grids.

    Example: scanlearn predict runs/lungs ~/dicom/patient-7 --out predictions
    """
    folder = RunFolder(run)
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.prediction.result_files import Extra
    from scanlearn.tasks.shared.predict_scans import predict_scans

    wanted: list[tuple[bool, Extra]] = [(dicom_seg, "dicom-seg"), (figures, "figures")]
    sweep(out)
    with telling("predicting", as_lines=as_events) as tell:
        written = predict_scans(
            task_of(folder.config()),
            folder,
            source,
            out,
            series=series,
            overlap=overlap,
            on_uneven=uneven,
            extras=[extra for asked, extra in wanted if asked],
            views=views,
            covariates=covariates,
            resume=resume,
            tell=tell,
        )
        if as_events:
            tell(Finished(step=len(written)))
    _print_files(written, as_json=as_json, as_events=as_events)


def export(
    summary: Annotated[
        Path,
        typer.Argument(metavar="PREDICTION", help="A NAME_prediction.json."),
    ],
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="The scan it was made from.")
    ],
    out: OutDir,
    series: Series = "",
    nifti: Annotated[
        bool, typer.Option("--nifti", help="Label map and probabilities.")
    ] = False,
    dicom_seg: DicomSeg = False,
    tables: Annotated[bool, typer.Option("--tables", help="CSV tables.")] = False,
    figures: Figures = False,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Save a prediction in other formats, each file read again.

    Without a format, all that the scan can have are written.

    Example: scanlearn export predictions/7_prediction.json ~/dicom/7 --out report
    """
    from scanlearn.prediction.exports import export_prediction
    from scanlearn.prediction.review import why_not
    from scanlearn.prediction.sources import scan_named
    from scanlearn.prediction.summary import Format, read_prediction

    prediction = read_prediction(summary)
    entry = scan_named(prediction.scan, source, series)
    asked: dict[Format, bool] = {
        "nifti": nifti,
        "dicom-seg": dicom_seg,
        "tables": tables,
        "figures": figures,
    }
    if not any(asked.values()):
        asked = {wanted: not why_not(prediction, wanted) for wanted in asked}
    with telling("saving", as_lines=as_events) as tell:
        written = export_prediction(
            prediction,
            entry,
            out,
            [wanted for wanted, yes in asked.items() if yes],
            progress=lambda done, total: tell(
                Step(step=done, values={"total": float(total)})
            ),
        )
        if as_events:
            tell(Finished(step=len(written)))
    _print_files(written, as_json=as_json, as_events=as_events)


def _print_files(files: list[Path], *, as_json: bool, as_events: bool) -> None:
    print_files(files, as_json=as_json, as_events=as_events)
    if not (as_json or as_events):
        console.print(DISCLAIMER, style="dim")
