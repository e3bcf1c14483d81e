"""Commands that use what a pre-training learned, without labels: embed."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scanlearn.cli.options import AsEvents, AsJson, cohort_folder
from scanlearn.cli.output import print_json, print_text, telling
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import RunFolder

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A pre-training run.")]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    application.command()(embed)


def embed(
    run: Run,
    source: Annotated[
        Path,
        typer.Argument(
            parser=cohort_folder,
            metavar="INPUT",
            help="A cohort, a scan, a folder of scans, or an .npz with 'patches' "
            "(n, 32, 32, 32) in HU and 'locations' (n, 3).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    level: Annotated[
        Literal["scan", "slice", "patch"] | None,
        typer.Option(help="One vector a scan or a patch; by default as the input."),
    ] = None,
    pool: Annotated[
        Literal["mean", "lungs"],
        typer.Option(
            help="A scan's vector: the mean over its landmarks, or mean and standard "
            "deviation weighted by lung fraction."
        ),
    ] = "mean",
    precision: Annotated[
        Literal["fp32", "auto"],
        typer.Option(help="auto is bf16 where it is faster; rounds in the 3rd digit."),
    ] = "fp32",
    series: Annotated[str, typer.Option(help="Only this series.")] = "",
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Write the vectors of scans or patches: 'ids' (n,) and 'vectors' (n, d).

    Example: scanlearn embed runs/drasclr ~/cohorts/chest --out chest.npz
    """
    folder = RunFolder(run)
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.predict.embedding_file import embed as embedded

    with telling("embedding", as_lines=as_events) as tell:
        found = embedded(
            folder,
            source,
            level=level,
            pool=pool,
            precision=precision,
            series=series,
            tell=tell,
        )
        found.save(out)
        if as_events:
            tell(Finished(step=len(found.ids)))
    n, d = found.vectors.shape
    if as_json:
        print_json({"out": str(out), "n": n, "d": d})
    elif not as_events:
        print_text(f"{out}: {n} vectors of {d} numbers")
