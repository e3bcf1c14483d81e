"""The command that scores a trained run: evaluate."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scanlearn.cli.options import AsJson, IgnoreReference, cohort_folder
from scanlearn.cli.output import console, print_json, telling
from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadConfig
from scanlearn.runs.evaluations import keep_evaluation
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.tables.results import DISCLAIMER
from scanlearn.tasks.registry import task_of
from scanlearn.tasks.shared.evaluation import Evaluation, Summary


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command()(evaluate)


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A fine-tuned run.")],
    labels: Annotated[Path, typer.Option(help="Labels as for finetune.")],
    on: Annotated[
        Path | None,
        typer.Option(
            parser=cohort_folder,
            metavar="COHORT",
            help="The labelled scans; the cohort it was trained on, if not given.",
        ),
    ] = None,
    ignore_reference: IgnoreReference = False,
    as_json: AsJson = False,
) -> None:
    """Score a run on labels: per class, per patient, with intervals.

    Example: scanlearn evaluate runs/lungs --labels masks --on ~/cohorts/other-hospital
    """
    folder = RunFolder(run)
    config = folder.config()
    task = task_of(config)
    cohort = Cohort(on or config.cohorts[0])
    if ignore_reference and "ignore_reference" not in task.offer.config.model_fields:
        raise BadConfig(
            f"--ignore-reference was given, but {task.offer.title} takes no DICOM "
            "labels",
            next_step="Leave it out",
        )
    with telling("evaluating") as tell:
        found = task.score(
            folder, labels, cohort, tell, ignore_reference=ignore_reference
        )
    _keep(folder, found, cohort)
    if as_json:
        print_json(found.to_dict())
        return
    table = Table(box=None, pad_edge=False)
    scores = list(dict.fromkeys(name for row in found.classes.values() for name in row))
    for heading in (task.offer.title, *scores):
        table.add_column(heading)
    for name, row in found.classes.items():
        table.add_row(name, *(_cell(row.get(score)) for score in scores))
    # Results belong on stdout, where pipes take them.
    out = Console(highlight=False)
    out.print(table)
    for name, score in found.mean.items():
        out.print(f"mean {name}: {_cell(score)}")
    for remark in found.remarks:
        console.print(f"⚠ {remark}", markup=False, soft_wrap=True)
    console.print(DISCLAIMER, style="dim")


def _keep(run: RunFolder, found: Evaluation, cohort: Cohort) -> None:
    """Keep the scores for the run's model card, unless its folder is only read."""
    try:
        keep_evaluation(run, found.to_dict(), cohort=cohort.fingerprint())
    except OSError as error:
        console.print(f"The scores are not kept in the run: {error}", markup=False)


def _cell(score: Summary | float | None) -> str:
    if score is None:
        return "–"
    return score.text if isinstance(score, Summary) else f"{score:.3g}"
