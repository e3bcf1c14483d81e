"""The people's door at a terminal: the command ``scanlearn``.

Commands are thin: they read arguments, call a room below and print. Exit status is 0 on
success, 2 on bad input with one line on stderr, 1 on an internal error.
"""

from __future__ import annotations

import io
import os
import sys
import traceback

from scanlearn.cli.application import application
from scanlearn.cli.output import console, print_event
from scanlearn.errors import ScanlearnError, of_the_world
from scanlearn.runs.events import Crashed

__all__ = ["application", "main"]


def main() -> None:
    """Run the command line."""
    as_events = "--events" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name may hold what the terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    try:
        application()
    except BrokenPipeError:
        # The reader of a pipe has gone: nobody is left to print for.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last door of the terminal
        mendable = of_the_world(error)
        if mendable is not None:
            _tell(mendable, as_events=as_events)
            sys.exit(2)
        if as_events:
            text = f"{type(error).__name__}: {error}"
            print_event(Crashed(error=text, details=traceback.format_exc()))
        else:
            traceback.print_exc()
            console.print("scanlearn: internal error, see above", style="red")
        sys.exit(1)


def _tell(error: ScanlearnError, *, as_events: bool) -> None:
    if as_events:
        print_event(Crashed(error=str(error), mendable=True))
    else:
        text = " ".join(str(error).split())
        console.print(f"scanlearn: {text}", style="red", soft_wrap=True, markup=False)
