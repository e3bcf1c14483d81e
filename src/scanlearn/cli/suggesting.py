"""The command that says which scans to label next: suggest."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scanlearn.cli.options import AsEvents, AsJson, cohort_folder
from scanlearn.cli.output import print_json, telling
from scanlearn.files import write_text
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_of


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command()(suggest)


def suggest(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A fine-tuned run.")],
    cohort: Annotated[
        Path,
        typer.Argument(
            parser=cohort_folder, metavar="COHORT", help="Where unlabelled scans are."
        ),
    ],
    n: Annotated[int, typer.Option("--n", min=1, help="How many to suggest.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Write the list as JSON.")] = None,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Suggest which scans to label next: those a run doubts, unlike each other.

    Example: scanlearn suggest runs/lungs ~/cohorts/chest --n 3
    """
    folder = RunFolder(run)
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.tasks.shared.suggestion import suggest as suggested

    with telling("looking at scans", as_lines=as_events) as tell:
        found = suggested(task_of(folder.config()), folder, cohort, count=n, tell=tell)
        if out is not None:
            rows = [asdict(one) for one in found]
            write_text(out, json.dumps(rows, indent=1))
        if as_events:
            tell(Finished(step=len(found)))
    if as_json:
        print_json([asdict(one) for one in found])
    elif not as_events:
        table = Table(box=None, pad_edge=False)
        for heading in ("scan", "doubt", "novelty"):
            table.add_column(heading)
        for one in found:
            table.add_row(one.key, f"{one.doubt:.3f}", f"{one.novelty:.3f}")
        Console(highlight=False).print(table)
