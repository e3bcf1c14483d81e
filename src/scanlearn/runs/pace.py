"""What trainings of this machine took, so that the next one can be planned."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanlearn.config.run import RunConfig
from scanlearn.errors import ScanlearnError
from scanlearn.runs.events import Event, Started, Step
from scanlearn.runs.folder import RunFolder, find_runs

#: Settings of a recipe that change neither the time nor the memory of a step.
_FREE = {
    *("classes", "labelling", "validation", "optimiser", "temperature", "momentum"),
    *("average", "keep_largest", "unlabelled"),
}

_OF_THE_DEVICE = ("device", "precision", "threads", "workers", "accumulate")


@dataclass(frozen=True)
class Pace:
    """What a training took.

    Parameters
    ----------
    seconds
        Time of a step, its share of checks and saving included.
    memory_bytes
        Memory in use at the last save, the GPU's where there is one; 0 if not noted.
    disk_bytes
        Size of what the run keeps.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int


def find_pace(folder: Path, config: RunConfig) -> Pace | None:
    """Return the pace of the newest run of a folder that trained in the same way.

    The same are the recipe but for settings that cost nothing, the encoder it starts
    from, the device and this machine.
    """
    for run in find_runs(folder):
        try:
            if same_costs(run.config(), config):
                pace = pace_of(run)
                if pace is not None:
                    return pace
        except (ScanlearnError, OSError, ValueError):
            continue  # a folder that cannot be read tells nothing
    return None


def same_costs(one: RunConfig, other: RunConfig) -> bool:
    """Whether two trainings take the same time a step on one machine."""
    return _costs(one) == _costs(other)


def pace_of(run: RunFolder) -> Pace | None:
    """Return the pace of a run's last stretch; None if it tells too little."""
    worker = run.process()
    if worker.get("host") != socket.gethostname():
        return None
    stretch = list(_last_stretch(run.events()))
    if len(stretch) < 2:
        return None
    first, last = stretch[0], stretch[-1]
    return Pace(
        seconds=(last.time - first.time) / (last.step - first.step),
        memory_bytes=int(worker.get("memory_bytes", 0)),
        disk_bytes=disk_bytes(run.path),
    )


def disk_bytes(folder: Path) -> int:
    """Return the size of all files of a folder but those removed meanwhile."""
    size = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            size += file.stat().st_size if file.is_file() else 0
    return size


def _last_stretch(events: list[Event]) -> Iterator[Step]:
    begun = [n for n, event in enumerate(events) if isinstance(event, Started)]
    for event in events[begun[-1] if begun else 0 :]:
        if isinstance(event, Step):
            yield event


def _costs(config: RunConfig) -> dict[str, Any]:
    recipe = config.recipe.model_dump(exclude=_FREE)
    engine = config.engine.model_dump(include=set(_OF_THE_DEVICE))
    costs: dict[str, Any] = {
        "recipe": recipe,
        "engine": engine,
        "start_from": config.start_from,
    }
    if recipe.get("spacing_mm") is None:
        costs["cohorts"] = config.cohorts  # whose voxel size is taken
    return costs
