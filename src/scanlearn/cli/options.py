"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

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
