"""The command that tells of a run what a reader of its results must know: card."""

from pathlib import Path
from typing import Annotated

import typer

from scanlearn.cli.options import AsEvents, AsJson
from scanlearn.cli.output import print_event, print_json, print_text
from scanlearn.model_card.card import model_card, write_card
from scanlearn.pretraining.registry import all_methods
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import all_tasks


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command()(card)


def card(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out", metavar="FILE", help="CARD.md or CARD.html; may be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Write the model card of a run, with a methods paragraph and what to cite.

    Names no patient, cohort, host or file. Without --out it is printed as Markdown.

    Example: scanlearn card runs/lungs --out lungs.html
    """
    folder = RunFolder(run)
    name = folder.config().recipe.name
    text = model_card(folder, all_tasks().get(name), all_methods().get(name))
    for path in out or ():
        write_card(path, text)
    if as_events:
        print_event(Finished(step=0))
    elif as_json:
        print_json({"card": text, "out": out or []})
    else:
        print_text("\n".join(map(str, out)) if out else text)
