"""The door for people at a notebook or in a script: what ``import scanlearn`` offers.

Functions take names and paths, as the command line does, and return what can be looked
at. Trainings are processes of their own, so that a kernel that dies takes none along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.comparison import parse_comparison
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.run import merge, nested
from scanlearn.errors import BadRun
from scanlearn.new_run import (
    finetuning_config,
    labels_for,
    new_finetuning,
    new_pretraining,
    planned_for_labels,
    pretraining_config,
    runs_folder,
)
from scanlearn.pretraining.registry import method_named
from scanlearn.runs.events import Crashed, Event
from scanlearn.runs.folder import RunFolder, new_run_path
from scanlearn.runs.follow import follow
from scanlearn.runs.launch import launch
from scanlearn.tasks.registry import task_named, task_of

if TYPE_CHECKING:
    from scanlearn.comparison.verdict import Verdict
    from scanlearn.prediction.summary import Prediction
    from scanlearn.tasks.shared.evaluation import Evaluation

Place = str | PathLike[str]
Settings = Mapping[str, Any]
Tell = Callable[[Event], None]


def sample(
    folder: Place,
    *,
    scans: int = 8,
    seed: int = 0,
    kind: Literal["chest-ct", "radiograph"] = "chest-ct",
) -> Path:
    """Write phantoms with ground truth into a new folder; returns it."""
    from scanlearn.phantom.sample import write_sample

    return write_sample(_path(folder), scans=scans, seed=seed, kind=kind)


def prepare(
    source: Place,
    cohort: Place,
    *,
    spacing_mm: float | None = None,
    **settings: Any,
) -> Cohort:
    """Make a cohort of scans, or extend one.

    Parameters
    ----------
    source
        A folder of scans, a file, or a table with a ``path`` column.
    cohort
        Folder to make or extend.
    spacing_mm
        Voxel size; 1 mm for CT and the median for MR if not given.
    settings
        Others of :class:`scanlearn.config.prepare.PrepareConfig`, such as ``crop``.

    Raises
    ------
    ScanlearnError
        If nothing can be prepared, or the folder holds something else.
    """
    from scanlearn.cohort.preparation.prepare import prepare as prepare_scans

    config = PrepareConfig(spacing_mm=spacing_mm, **settings)
    return Cohort(prepare_scans(_path(source), _path(cohort), config).cohort)


def open_cohort(path: Place) -> Cohort:
    """Open a cohort: its records, voxels and lung masks."""
    return Cohort(_path(path))


def open_run(path: Place) -> RunFolder:
    """Open a run: its configuration, state, events and checkpoints."""
    return RunFolder(_path(path))


def pretrain(
    cohorts: Place | Sequence[Place],
    *,
    method: str = "drasclr",
    preset: str = "standard",
    start_from: Place | RunFolder | None = None,
    settings: Settings | None = None,
    out: Place | None = None,
    tell: Tell = lambda event: None,
) -> RunFolder:
    """Learn from scans without labels; returns when the training has ended.

    Parameters
    ----------
    cohorts
        One or several folders.
    method, preset
        As ``scanlearn pretrain --help`` lists them.
    start_from
        The run whose trunk is taken over, where the method can.
    settings
        Changes of the preset, such as ``{"engine.steps": 500, "batch": 32}``.
    out
        Folder of the run; a new one in the folder of runs if not given.
    tell
        Called with every event, for progress.

    Raises
    ------
    ScanlearnError
        If it cannot be trained so.
    """
    chosen = method_named(method)
    places = [cohorts] if isinstance(cohorts, str | PathLike) else cohorts
    config = pretraining_config(
        [_path(place) for place in places],
        method=chosen,
        preset_name=preset,
        start_from=_run_path(start_from),
        changes=_nested(settings),
    )
    return _trained(new_pretraining(chosen, config, _optional(out)), tell)


def finetune(
    cohort: Place,
    *,
    task: str,
    labels: Place,
    start_from: Place | RunFolder | None = None,
    preset: str = "",
    settings: Settings | None = None,
    out: Place | None = None,
    tell: Tell = lambda event: None,
) -> RunFolder:
    """Learn a task from a few labels; returns when the training has ended.

    Parameters
    ----------
    cohort
        That of the labelled scans.
    task
        As ``scanlearn finetune --help`` lists them.
    labels
        A folder of masks, a table, or a run's ``inputs/``.
    start_from
        A pre-training; from scratch if not given.
    preset
        The usual one if not given: decided from scans and labels where a task plans.
    settings, out, tell
        As in :func:`pretrain`.

    Raises
    ------
    ScanlearnError
        If the labels fit no scan, or it cannot be trained so.
    """
    chosen = task_named(task)
    changes = _nested(settings)
    config = finetuning_config(
        [_path(cohort)],
        task=chosen,
        preset_name=preset or chosen.offer.usual,
        start_from=_run_path(start_from),
        changes=changes,
    )
    found = labels_for(chosen, config, _path(labels))
    config, _ = planned_for_labels(chosen, config, changes, found)
    return _trained(new_finetuning(config, found, _optional(out)), tell)


def predict(
    run: Place | RunFolder,
    source: Place,
    out: Place,
    *,
    views: int = 1,
    tell: Tell = lambda event: None,
) -> list[Prediction]:
    """Predict on scans and write the results in their source grids.

    Parameters
    ----------
    run
        A fine-tuned run.
    source
        A scan, a folder of scans, or a cohort.
    out
        Folder to write into.
    views
        Ways of looking at each scan, where the task has several.
    tell
        Called with every event.

    Returns
    -------
    list of Prediction
        One a scan, with the files that were written.
    """
    from scanlearn.prediction.summary import read_prediction
    from scanlearn.tasks.shared.predict_scans import predict_scans

    folder = _run(run)
    task = task_of(folder.config())
    written = predict_scans(
        task, folder, _path(source), _path(out), views=views, tell=tell
    )
    return [read_prediction(file) for file in written]


def evaluate(
    run: Place | RunFolder,
    labels: Place,
    *,
    cohort: Place | None = None,
    tell: Tell = lambda event: None,
) -> Evaluation:
    """Score a run on labels: per class, per patient, with intervals.

    ``cohort`` is that of the labelled scans; the one it was trained on if not given.
    """
    folder = _run(run)
    config = folder.config()
    scans = Cohort(_optional(cohort) or config.cohorts[0])
    return task_of(config).score(folder, _path(labels), scans, tell)


def compare(
    cohort: Place,
    *,
    task: str,
    labels: Place,
    start_from: Place | RunFolder,
    budgets: Sequence[int] = (),
    repeats: int = 5,
    preset: str = "standard",
    settings: Settings | None = None,
    seed: int = 0,
    out: Place | None = None,
    tell: Tell = lambda event: None,
) -> Verdict:
    """Train with and without pre-training at several numbers of labels, and compare.

    Parameters
    ----------
    cohort, task, labels, preset, settings, tell
        As in :func:`finetune`.
    start_from
        The pre-training that is asked about.
    budgets
        Labelled patients of each training; as the labels allow when empty.
    repeats
        Trainings of each kind at each budget, each on other patients.
    seed
        Of the draws of patients.
    out
        Its folder; one begun there goes on.
    """
    from scanlearn.comparison.study import Comparison

    place, chosen = _path(cohort), task_named(task)
    config = parse_comparison(
        {
            "task": task,
            "preset": preset,
            "cohort": place,
            "start_from": _run_path(start_from),
            "budgets": tuple(budgets),
            "repeats": repeats,
            "seed": seed,
            "changes": _nested(settings),
        }
    )
    folder = _optional(out) or new_run_path(
        runs_folder(), f"compare_{task}_{place.name}"
    )
    return Comparison.create(folder, chosen, config, _path(labels)).run(tell)


def _trained(run: RunFolder, tell: Tell) -> RunFolder:
    """Start a worker and wait for its last words; an interrupt saves, then stops."""
    events = follow(run, from_start=False)
    launch(run)
    last: Event | None = None
    try:
        for event in events:
            if event is not None:
                tell(event)
                last = event
    except KeyboardInterrupt:
        run.request_stop()
        raise
    if isinstance(last, Crashed):
        raise BadRun(last.error, next_step=f"{run.log} tells more")
    return run


def _nested(settings: Settings | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in (settings or {}).items():
        found = merge(found, nested(key, value))
    return found


def _path(place: Place) -> Path:
    return Path(place).expanduser().absolute()


def _optional(place: Place | None) -> Path | None:
    return None if place is None else _path(place)


def _run(run: Place | RunFolder) -> RunFolder:
    return run if isinstance(run, RunFolder) else open_run(run)


def _run_path(run: Place | RunFolder | None) -> Path | None:
    if run is None:
        return None
    return run.path if isinstance(run, RunFolder) else _path(run)
