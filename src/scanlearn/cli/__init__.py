"""The people's door at a terminal: the command ``scanlearn``.

Commands are thin: they read arguments, call a room below and print. Exit status is 0 on
success, 2 on bad input with one line on stderr, 1 on an internal error or where a
training failed by itself.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback

from scanlearn.cli.application import application
from scanlearn.cli.output import console, print_event
from scanlearn.errors import BadPlace, Diverged, ScanlearnError, of_the_world
from scanlearn.runs.events import Crashed
from scanlearn.streams import make_heedless

__all__ = ["application", "main"]


def main() -> None:
    """Run the command line."""
    as_events = "--events" in sys.argv
    make_heedless("stderr")
    # Who follows by events ends us by going away; other readers may have seen enough.
    out = make_heedless("stdout", ends_with_reader=as_events)
    status = _run(as_events=as_events)
    if status == 0 and out is not None:
        sys.stdout.flush()
        if out.problem is not None and out.problem.errno != errno.EPIPE:
            reason = out.problem.strerror
            _tell(BadPlace(f"what was printed is lost: {reason}"), as_events=False)
            status = 2
    sys.exit(status)


def _run(*, as_events: bool) -> int:
    """Run the command line; returns the exit status."""
    try:
        application()
    except SystemExit as end:  # the way in which all commands end
        return end.code if isinstance(end.code, int) else 0
    except BrokenPipeError:
        _forget_stdout()
        return 1
    except Exception as error:  # noqa: BLE001 - the last door of the terminal
        mendable = of_the_world(error)
        if mendable is not None:
            _tell(mendable, as_events=as_events)
            return 1 if isinstance(mendable, Diverged) else 2
        if as_events:
            text = f"{type(error).__name__}: {error}"
            print_event(Crashed(error=text, details=traceback.format_exc()))
        else:
            traceback.print_exc()
            console.print("scanlearn: internal error, see above", style="red")
        return 1
    return 0


def _forget_stdout() -> None:
    # Python would try once more at its end, and tell.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(error: ScanlearnError, *, as_events: bool) -> None:
    if as_events:
        print_event(Crashed(error=str(error), mendable=True))
    else:
        text = " ".join(str(error).split())
        console.print(f"scanlearn: {text}", style="red", soft_wrap=True, markup=False)
