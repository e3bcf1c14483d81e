"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

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
OutDir = Annotated[Path, typer.Option("--out", help="Folder to write into.")]
Uneven = Annotated[
    Literal["refuse", "resample"],
    typer.Option(
        help="What to do with missing or unevenly spaced slices: refuse the scan, or "
        "interpolate them, with a warning."
    ),
]
