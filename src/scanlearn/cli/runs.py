"""Commands that manage runs: runs, resume, stop, device."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scanlearn.cli.options import AsEvents, AsJson, Settings
from scanlearn.cli.output import print_event, print_json, print_text
from scanlearn.cli.watching import launch_and_follow
from scanlearn.config.run import parse_settings
from scanlearn.errors import BadRun
from scanlearn.new_run import runs_folder
from scanlearn.runs.amend import amend
from scanlearn.runs.damage import damage
from scanlearn.runs.events import Finished, Message
from scanlearn.runs.folder import RunFolder, find_runs

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    application.command("runs")(list_runs)
    application.command()(resume)
    application.command()(stop)
    application.command()(device)


def list_runs(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder of runs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of a folder, newest first.

    Example: scanlearn runs ~/scanlearn/runs
    """
    rows = [_row(run) for run in find_runs(folder or runs_folder())]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print_text(
            f"{row['state']:10} {row['recipe']:13} {row['step']:>7}/{row['steps']:<7} "
            f"{row['run']}"
        )
        if "problem" in row:
            print_text(f"{'':10} {row['problem']}")
    if not rows:
        print_text(f"no runs in {folder or runs_folder()}")


def _row(run: RunFolder) -> dict[str, Any]:
    """Return what is said of a run, also of one that cannot be read."""
    row: dict[str, Any] = {"run": str(run.path)}
    try:
        config, last = run.config(), run.last_event()
        return row | {
            "recipe": config.recipe.name,
            "state": run.state(),
            "step": getattr(last, "step", 0),
            "steps": config.engine.steps,
        }
    except Exception as error:  # noqa: BLE001 - one run is not the end of the list
        told = damage(error)
        unknown = {"recipe": "?", "state": told.word, "step": 0, "steps": 0}
        return row | unknown | {"problem": told.sentence}


def resume(
    run: Run,
    settings: Settings = [],  # noqa: B006 - typer wants a list
    as_json: AsJson = False,
) -> None:
    """Go on with a run that was stopped, killed or crashed.

    Example: scanlearn resume runs/drasclr -s optimiser.learning_rate=3e-4
    """
    folder = RunFolder(run)
    # Refused here where it cannot be read, not by the worker.
    folder.config()
    folder.events()
    if folder.state() == "finished":
        raise BadRun(
            f"{folder.name} is finished", next_step="Start a new run from it instead"
        )
    if settings:
        amend(folder, parse_settings(settings))
    launch_and_follow(folder, as_json=as_json)


def stop(run: Run) -> None:
    """Ask a run to finish its step, save and exit.

    Example: scanlearn stop runs/drasclr
    """
    folder = RunFolder(run)
    if not folder.is_alive():
        raise BadRun(f"{folder.name} is not running (it is {folder.state()})")
    folder.request_stop()
    print_text(f"{folder.name} will save and stop")


def device(as_json: AsJson = False, as_events: AsEvents = False) -> None:
    """Say what a training would run on.

    Example: scanlearn device
    """
    # torch takes seconds to import: only this command of the room needs it.
    from scanlearn.engine.devices import describe_device

    text = describe_device()
    if as_events:
        print_event(Message(text=text))
        print_event(Finished(step=0))
    elif as_json:
        print_json({"device": text})
    else:
        print_text(text)
