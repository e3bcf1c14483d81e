"""The command that gives a run away: share."""

from pathlib import Path
from typing import Annotated

import typer

from scanlearn.cli.options import AsEvents, AsJson
from scanlearn.cli.output import console, print_event, print_json, print_text
from scanlearn.model_card.card import model_card
from scanlearn.pretraining.registry import all_methods
from scanlearn.runs.events import Finished, Message
from scanlearn.runs.folder import RunFolder
from scanlearn.sharing.share import share as share_run
from scanlearn.tasks.registry import all_tasks


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command()(share)


def share(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="File to write.")],
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Write a run as one file to give away: model, settings, story, card.

    It holds no scans, labels, previews or places of this machine, and is looked
    through for names of patients, files, users and hosts before it is written.
    Unpacked it is a run to predict with or to start from.

    Example: scanlearn share runs/lungs lungs.zip
    """
    folder = RunFolder(run)
    name = folder.config().recipe.name
    card = model_card(folder, all_tasks().get(name), all_methods().get(name))
    found = share_run(folder, out, card=card)
    note = f"looked for {found.looked_for:,} names and places"
    if found.unread:
        note += (
            f"; {found.unread} sources of its scans are no longer where they were: "
            "names in their headers could not be looked for"
        )
    if as_events:
        print_event(Message(text=note))
        print_event(Finished(step=0))
    elif as_json:
        document = {"out": found.path, "files": found.files, "unread": found.unread}
        print_json(document | {"looked_for": found.looked_for})
    else:
        console.print(note, markup=False, soft_wrap=True)
        print_text(str(found.path))
