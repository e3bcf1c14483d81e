"""All commands in one application."""

from typing import Annotated

import typer

from scanlearn.cli import (
    card,
    cohorts,
    comparing,
    demo,
    disagreeing,
    evaluating,
    features,
    released,
    representation,
    runs,
    scans,
    sharing,
    suggesting,
    training,
    using,
)
from scanlearn.version import __version__

application = typer.Typer(
    name="scanlearn",
    help="Learn from your own scans: pre-train without labels, fine-tune with a few, "
    "look at the result on the volume. Not for clinical use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-scanlearn {__version__}")
        raise typer.Exit


@application.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    pass


for room in (
    demo,
    scans,
    cohorts,
    training,
    using,
    evaluating,
    comparing,
    disagreeing,
    suggesting,
    representation,
    features,
    released,
    runs,
    card,
    sharing,
):
    room.register(application)
