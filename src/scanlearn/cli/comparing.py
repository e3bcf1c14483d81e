"""The command that asks whether pre-training was worth it: compare."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from scanlearn.cli.class_table import print_classes
from scanlearn.cli.options import (
    AsEvents,
    AsJson,
    Settings,
    TaskName,
    TaskPreset,
    cohort_folder,
)
from scanlearn.cli.output import console, print_event, print_json, telling
from scanlearn.config.comparison import parse_comparison
from scanlearn.config.run import load_yaml, merge, parse_settings
from scanlearn.errors import BadConfig
from scanlearn.new_run import runs_folder
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import new_run_path
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.shared.label_set import LabelSet


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command()(compare)


def compare(
    cohort: Annotated[
        Path,
        typer.Argument(
            parser=cohort_folder, metavar="COHORT", help="That of the labelled scans."
        ),
    ],
    task: TaskName,
    labels: Annotated[Path, typer.Option(help="Labels as for finetune.")],
    start_from: Annotated[
        Path, typer.Option("--from", help="The pre-training that is asked about.")
    ],
    budgets: Annotated[
        str,
        typer.Option(
            help="Labelled patients of each training, such as 1,2,5,10; as the labels "
            "allow, if not given."
        ),
    ] = "",
    repeats: Annotated[
        int, typer.Option(min=1, help="Trainings of each kind at each budget.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of patients.")] = 0,
    preset: TaskPreset = "",
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML with settings of the trainings."),
    ] = None,
    settings: Settings = [],  # noqa: B006 - typer wants a list
    out: Annotated[
        Path | None, typer.Option(help="Its folder; one begun there goes on.")
    ] = None,
    as_json: AsJson = False,
    as_events: AsEvents = False,
) -> None:
    """Train with and without pre-training at several numbers of labels, and compare.

    Both start from the same network, once with its trained weights and once with new
    ones, on the same patients for as many steps, and are tested on patients held out.
    Interrupted with Ctrl-C it keeps what is done; the same command with --out goes on.

    Example: scanlearn compare ~/cohorts/chest --task segmentation --labels masks
    --from runs/drasclr --budgets 1,2,5 --preset quick
    """
    from scanlearn.comparison.study import Comparison

    asked = parse_comparison(
        {
            "task": task,
            "preset": preset,
            "cohort": cohort.absolute(),
            "start_from": start_from.expanduser().absolute(),
            "budgets": _numbers(budgets),
            "repeats": repeats,
            "seed": seed,
            "changes": _changes(config, settings),
        }
    )
    place = out or new_run_path(runs_folder(), f"compare_{task}_{cohort.name}")
    found = Comparison.create(place, task_named(task), asked, labels)
    console.print(f"comparison {found.path}", markup=False, soft_wrap=True)
    if task == "segmentation":
        print_classes(LabelSet.load(found.path / "inputs"))
    with telling("trainings", as_lines=as_events) as tell:
        verdict = found.run(tell)
    document = json.loads((found.path / "verdict.json").read_text("utf-8"))
    if as_events:
        print_event(Finished(step=len(verdict.points)))
    elif as_json:
        print_json({"comparison": str(found.path)} | document)
    else:
        _print(document)


def _changes(config: Path | None, settings: list[str]) -> dict[str, Any]:
    """Return settings of every training; of a run's file, what is not its own."""
    file = load_yaml(config) if config is not None else {}
    found = {part: dict(file.get(part, {})) for part in ("recipe", "engine")}
    found["engine"].pop("seed", None)
    return merge(found, parse_settings(settings))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise BadConfig(
            f"--budgets is '{text}'", expected="numbers of patients such as 1,2,5,10"
        ) from None


def _print(document: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("labelled patients", "pre-trained", "from scratch", "gain"):
        table.add_column(heading)
    for point in document["points"]:
        cells = (_cell(point[arm]) for arm in ("pretrained", "scratch", "gain"))
        table.add_row(str(point["budget"]), *cells)
    out = Console(highlight=False)
    out.print(f"{document['metric']}: mean over repeats [95 % interval]")
    out.print(table)
    for sentence in document["sentences"]:
        out.print(sentence, soft_wrap=True)


def _cell(summary: dict[str, Any]) -> str:
    if summary["low"] is None:
        return f"{summary['mean']:.3f}"
    return f"{summary['mean']:.3f} [{summary['low']:.3f}, {summary['high']:.3f}]"
