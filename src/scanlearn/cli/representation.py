"""What a pre-training learned, without labels: embed, search, landmarks."""

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cli.options import (
    AsEvents,
    AsJson,
    MethodPreset,
    OutDir,
    Series,
    Settings,
    Uneven,
    cohort_folder,
)
from scanlearn.cli.output import print_files, print_json, print_text, telling
from scanlearn.cohort.atlas.atlas_on_scans import choose_atlas
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.run import parse_settings
from scanlearn.errors import BadConfig
from scanlearn.new_run import pretraining_config
from scanlearn.pretraining.registry import method_named
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import RunFolder

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A pre-training run.")]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    application.command()(embed)
    application.command()(search)
    application.command()(landmarks)


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
        typer.Option(
            help="One vector a scan, a slice (of joint) or a patch (of DrasCLR); by "
            "default as the input."
        ),
    ] = None,
    pool: Annotated[
        Literal["mean", "lungs", "holistic"] | None,
        typer.Option(
            help="A scan's vector: the mean over its landmarks or slices; of DrasCLR "
            "(lungs) mean and standard deviation weighted by lung fraction; of joint "
            "(holistic) the transformer's, the default where it was trained and the "
            "input are volumes."
        ),
    ] = None,
    precision: Annotated[
        Literal["fp32", "auto"],
        typer.Option(help="auto is bf16 where it is faster; rounds in the 3rd digit."),
    ] = "fp32",
    series: Series = "",
    uneven: Uneven = "refuse",
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Write the vectors of scans or patches: 'ids' (n,) and 'vectors' (n, d).

    Example: scanlearn embed runs/drasclr ~/cohorts/chest --out chest.npz
    """
    folder = RunFolder(run)
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.prediction.representation.embedding_file import embed as embedded

    with telling("embedding", as_lines=as_events) as tell:
        found = embedded(
            folder,
            source,
            level=level,
            pool=pool,
            precision=precision,
            series=series,
            on_uneven=uneven,
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


def search(
    run: Run,
    cohort: Annotated[
        Path,
        typer.Argument(parser=cohort_folder, metavar="COHORT", help="Where to search."),
    ],
    like: Annotated[
        str, typer.Option(help="A scan: its key in the cohort, a file or a folder.")
    ],
    at: Annotated[
        str,
        typer.Option(
            metavar="X,Y,Z",
            help="A place in that scan, LPS millimetres: the same place is compared "
            "in other patients.",
        ),
    ] = "",
    n: Annotated[int, typer.Option("--n", min=1, help="How many to list.")] = 10,
    series: Annotated[str, typer.Option(help="Only this series of --like.")] = "",
    uneven: Uneven = "refuse",
    out: Annotated[Path | None, typer.Option(help="Write the list as JSON.")] = None,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """List the scans that are most like one, as a whole or at one place.

    Example: scanlearn search runs/drasclr ~/cohorts/chest --like P-3f9a8c21d0-77aa01
    """
    folder, place = RunFolder(run), _point(at) if at else None
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.prediction.representation.patch_search import search as found_like
    from scanlearn.prediction.representation.search_hits import write_hits

    with telling("searching", as_lines=as_events) as tell:
        hits = found_like(
            folder,
            cohort,
            like,
            at=place,
            series=series,
            on_uneven=uneven,
            count=n,
            tell=tell,
        )
        if out is not None:
            write_hits(out, hits)
        if as_events:
            tell(Finished(step=len(hits)))
    if as_json:
        print_json([hit.to_dict() for hit in hits])
    elif not as_events:
        for hit in hits:
            where = hit.position or ()
            place_text = ",".join(f"{mm:.1f}" for mm in where)
            print_text(f"{hit.similarity:6.3f}  {hit.scan}  {place_text}".rstrip())


def _point(text: str) -> list[float]:
    try:
        point = [float(part) for part in text.split(",")]
    except ValueError:
        point = []
    if len(point) != 3 or not all(map(math.isfinite, point)):
        raise BadConfig(
            f"'{text}' is no point",
            expected="three numbers with commas, LPS millimetres, such as -62,18,-140",
        )
    return point


def landmarks(
    run: Annotated[
        Path,
        typer.Argument(
            parser=cohort_folder,
            metavar="RUN",
            help="A pre-training run; or a cohort, for the atlas that one on it takes.",
        ),
    ],
    source: Annotated[
        Path, typer.Argument(metavar="SCAN", help="A scan or a folder of scans.")
    ],
    out: OutDir,
    preset: MethodPreset = "standard",
    settings: Settings = [],  # noqa: B006 - typer wants a list
    series: Series = "",
    uneven: Uneven = "refuse",
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Write where an atlas and its landmarks lie in a scan, and how well.

    Of a cohort, --preset and -s say which atlas, as with 'scanlearn pretrain'.

    Example: scanlearn landmarks runs/drasclr ~/dicom/patient-7 --out places
    """
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.prediction.representation.atlas_maps import (
        atlas_of_run,
        locate_scans,
    )

    cohorts = None
    with telling("placing the atlas", as_lines=as_events) as tell:
        if (run / "cohort.yaml").is_file():
            cohorts, atlas = _atlas_for(run, preset, settings)
        elif settings:
            raise BadConfig(
                f"-s was given, but {run} is a run: its atlas is made",
                next_step="Leave -s out, or name a cohort",
            )
        else:
            atlas = atlas_of_run(run)
        written = locate_scans(
            atlas,
            source,
            out,
            cohorts=cohorts,
            series=series,
            on_uneven=uneven,
            tell=tell,
        )
        if as_events:
            tell(Finished(step=len(written)))
    print_files(written, as_json=as_json, as_events=as_events)


def _atlas_for(
    cohort: Path, preset: str, settings: list[str]
) -> tuple[WorkingCohorts, Atlas]:
    """Return a cohort as a training would see it, and the atlas it would take."""
    config = pretraining_config(
        [cohort],
        method=method_named("drasclr"),
        preset_name=preset,
        changes=parse_settings(settings),
    )
    cohorts = WorkingCohorts([cohort], None)
    return cohorts, choose_atlas(cohorts, config.section(DrasclrConfig).landmarks)
