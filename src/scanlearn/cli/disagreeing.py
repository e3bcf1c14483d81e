"""The command that says where two runs find something else: disagree."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scanlearn.cli.options import AsEvents, AsJson, OutDir, Source
from scanlearn.cli.output import print_json, print_text, telling
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_of

Run = Annotated[Path, typer.Argument(help="A fine-tuned run.")]


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command()(disagree)


def disagree(
    one: Run,
    other: Run,
    source: Source,
    out: OutDir,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Predict with two runs and list the scans on which they disagree most.

    Example: scanlearn disagree runs/a runs/b ~/cohorts/chest --out differences
    """
    folders = [RunFolder(run) for run in (one, other)]
    runs = [(folder, task_of(folder.config())) for folder in folders]
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.comparison.disagreement import disagree as disagreed

    with telling("comparing", as_lines=as_events) as tell:
        found = disagreed(runs, source, out, tell)
        if as_events:
            tell(Finished(step=len(found)))
    if as_json:
        print_json([asdict(each) for each in found])
    elif not as_events:
        for each in found:
            classes = ", ".join(f"{n} {d:.3f}" for n, d in each.classes.items())
            print_text(f"{each.value:6.3f}  {each.scan}  Dice: {classes or 'none'}")
