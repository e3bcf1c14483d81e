"""Options that several commands share."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from scanlearn.cohort.remote import is_url, mirror
from scanlearn.config.offer import Offer
from scanlearn.errors import BadCohort
from scanlearn.pretraining.registry import all_methods, method_named
from scanlearn.tasks.registry import all_tasks, task_named

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
IgnoreReference = Annotated[
    bool,
    typer.Option(
        "--ignore-reference",
        help="Take DICOM labels that refer to another scan than the one they are for.",
    ),
]


def _method_name(text: str) -> str:
    return method_named(text).offer.name


def _task_name(text: str) -> str:
    return task_named(text).offer.name


MethodName = Annotated[
    str,
    typer.Option(
        parser=_method_name,
        metavar=f"[{'|'.join(all_methods())}]",
        help="; ".join(f"{n}: {m.offer.about}" for n, m in all_methods().items()),
    ),
]
TaskName = Annotated[
    str,
    typer.Option(
        parser=_task_name,
        metavar=f"[{'|'.join(all_tasks())}]",
        help="What is learned.",
    ),
]
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


Source = Annotated[
    Path,
    typer.Argument(
        parser=cohort_folder,
        metavar="INPUT",
        help="A scan, a folder of scans, or a cohort.",
    ),
]
Series = Annotated[str, typer.Option(help="Only this series.")]


def _presets(offers: Iterable[Offer]) -> str:
    """Return how the names of the presets stand in help."""
    names = dict.fromkeys(name for offer in offers for name in offer.presets)
    return f"[{'|'.join(names)}]"


def _preset_option(offers: Iterable[Offer]) -> Any:
    """Return the option that names a preset; empty is the usual one."""
    usual = "standard, or the first it has"
    return typer.Option(metavar=_presets(offers), show_default=usual)


MethodPreset = Annotated[str, _preset_option(m.offer for m in all_methods().values())]
TaskPreset = Annotated[str, _preset_option(t.offer for t in all_tasks().values())]
