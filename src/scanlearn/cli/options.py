"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scanlearn.cohort.remote import is_url, mirror
from scanlearn.errors import BadCohort

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout.")
]
AsEvents = Annotated[
    bool, typer.Option("--events", hidden=True, help="Print one event a line.")
]
Settings = Annotated[
    list[str],
    typer.Option(
        "-s", "--set", metavar="KEY=VALUE", help="Change a setting, such as batch=16."
    ),
]
Preset = Annotated[Literal["quick", "standard", "paper"], typer.Option()]
OutDir = Annotated[Path, typer.Option("--out", help="Folder to write into.")]
Uneven = Annotated[
    Literal["refuse", "resample"],
    typer.Option(
        help="What to do with missing, unevenly spaced or duplicate slices: refuse the "
        "scan, or with a warning fill gaps in from their neighbours and keep the first "
        "of several slices at one place."
    ),
]


def own_folder(place: str) -> Path:
    """Return a folder that is written to: a URL is none."""
    if is_url(place):
        raise BadCohort(
            f"{place} is a URL: cohorts there can only be read",
            expected="a folder on this machine",
            next_step="Prepare into a folder, then copy all of it but private/ there.",
        )
    return Path(place)


def cohort_folder(place: str) -> Path:
    """Return the folder of a cohort that is named by its path or its URL."""
    return mirror(place) if is_url(place) else Path(place)
